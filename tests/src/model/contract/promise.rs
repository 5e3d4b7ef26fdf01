//! The promise of the window: a bounded share of what broken connections delivered is in doubt.
//!
//! An inequality over what was sent and acknowledged, whatever rule moves the window.

use hermes_proto::Config;

use super::{Verdict, ensure};

/// What broken connections have delivered and left in doubt, and the live one so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Promise {
    /// Bytes that broken connections had acknowledged, and those of the first of them.
    delivered: u64,
    delivered_first: Option<u64>,
    /// Bytes that they had in flight when they ended.
    doubted: u64,
    /// The least window of each of them, or its largest message.
    least: u64,
    live: Live,
}

/// The live connection.
#[derive(Clone, Debug, Default)]
struct Live {
    sent: u64,
    acknowledged: u64,
    largest: u64,
    /// Messages were sent while nothing can be proven: without a window.
    is_unbounded: bool,
}

impl Promise {
    /// A message is sent: whatever happens next, no more than was promised is in doubt.
    pub(super) fn on_sent(&mut self, bytes: u64, is_provable: bool, config: &Config) -> Verdict {
        let live = &mut self.live;
        live.sent += bytes;
        live.largest = live.largest.max(bytes);
        live.is_unbounded |= !is_provable;
        if live.is_unbounded {
            return Ok(());
        }
        let in_flight = live.sent - live.acknowledged;
        let most = config.in_flight_max_bytes.max(bytes);
        ensure!(in_flight <= most, "{in_flight} bytes in flight, {most} at most");
        let (least, acknowledged) = (live.least(config), live.acknowledged);
        let share = 3 * (self.delivered + acknowledged) / (2 * u64::from(config.in_flight_share));
        let first = config.in_flight_first_bytes + self.delivered_first.unwrap_or(acknowledged);
        let (doubted, most) = (self.doubted + in_flight, share + first + self.least + least);
        ensure!(doubted <= most, "{doubted} bytes may come to be in doubt, {most} at most");
        Ok(())
    }

    pub(super) fn on_acknowledged(&mut self, bytes: u64) {
        self.live.acknowledged = bytes;
    }

    pub(super) fn on_end(&mut self, config: &Config) {
        let live = std::mem::take(&mut self.live);
        let in_flight = live.sent - live.acknowledged;
        if in_flight == 0 {
            return;
        }
        self.delivered += live.acknowledged;
        self.delivered_first.get_or_insert(live.acknowledged);
        if !live.is_unbounded {
            self.doubted += in_flight;
            self.least += live.least(config);
        }
    }
}

impl Live {
    fn least(&self, config: &Config) -> u64 {
        self.largest.max(config.in_flight_min_bytes)
    }
}
