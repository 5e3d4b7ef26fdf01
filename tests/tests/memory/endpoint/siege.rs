//! All kinds of attack at once.

use super::*;

/// With the default settings and the largest reads: an application that sends all it may, to a peer
/// that takes nothing of it, and says as much as it may.
#[test]
fn the_defaults_under_siege() {
    const READ: usize = 64 * KIB;
    let config = Config { delivery: Delivery::AtLeastOnce, ..config() };
    let fragment = frame(CONTINUATION, [b'x'; 1_000]);
    let reads = fragment.repeat(READ / fragment.len());
    let little = text("").repeat(READ / 2);
    let mut victim = Victim::new(config.clone());
    victim.establish();
    let ((), peak, _) = measure(|| {
        let conn = victim.conn();
        let receive = |victim: &mut Victim, payload: &[u8]| {
            victim.input(Input::Received { conn, payload });
        };
        victim.send(Outgoing::binary(vec![0; config.outbox_max_bytes as usize]));
        receive(&mut victim, &little);
        receive(&mut victim, &frame(TEXT, ""));
        for _ in 0..config.max_message_bytes as usize / reads.len() {
            receive(&mut victim, &reads);
        }
    });
    let most = bound(&config, READ, 0);
    assert!((most / 2..=most).contains(&peak), "{peak} bytes, and {most} are promised");
}

/// All of it in any order.
#[test]
fn anything_goes() {
    for (seed, config) in (0..30).zip(besieged().into_iter().cycle()) {
        let mut rng = Rng::new(seed);
        let most = config.max_frame_bytes as usize;
        let frames: Vec<Vec<u8>> = [TEXT, BINARY, CONTINUATION, FIN | TEXT, FIN | CONTINUATION]
            .into_iter()
            .flat_map(|first| [0, 1, 100, most].map(|size| frame(first, vec![b'7'; size])))
            .chain([ping([0; 125]), pong(""), close(1001, ""), text("{}"), vec![b'7'; most]])
            .collect();
        hold(&config, 0, |victim| {
            for _ in 0..5_000 {
                match rng.below(40) {
                    0 => victim.lose(),
                    1 => victim.wait(),
                    2 => victim.input(Input::Disconnect),
                    3 => victim.input(Input::ClearOutbox),
                    4..10 if victim.endpoint.client().conn().is_none() => victim.establish(),
                    10..16 => {
                        let size = *rng.pick(&[0, 1, 100, config.outbox_max_bytes as usize]);
                        let sent = victim.send(Outgoing::binary(vec![0; size]));
                        std::hint::black_box(sent);
                    }
                    16..20 => victim.take(*rng.pick(&[0, 1, 100, usize::MAX])),
                    _ => {
                        let frame = rng.pick(&frames);
                        victim.receive(&frame[..frame.len() - rng.below(frame.len().min(2))]);
                    }
                }
            }
        });
    }
}
