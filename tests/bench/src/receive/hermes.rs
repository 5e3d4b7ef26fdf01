//! hermes-proto, the whole protocol on, as a host drives it.

use std::io::Read;
use std::time::Duration;

use hermes_proto::{Action, Actions, ConnId, Endpoint, Event, Input, Timestamp, Transmit};

use super::Receiver;
use crate::link::Link;
use crate::seen::{Kind, Seen};
use crate::send::hermes::open;

pub(super) struct Hermes {
    link: Link,
    read: usize,
    buffer: Vec<u8>,
    endpoint: Endpoint,
    conn: ConnId,
    now: Timestamp,
    actions: Actions<Transmit>,
}

impl Receiver for Hermes {
    fn new(link: Link, read: usize) -> Self {
        let (endpoint, conn) = open();
        let buffer = vec![0; 64 << 10];
        Hermes { link, read, buffer, endpoint, conn, now: Timestamp::ZERO, actions: Actions::new() }
    }

    fn receive(&mut self, seen: &mut impl Seen) {
        let Hermes { link, read, buffer, endpoint, conn, now, actions } = self;
        while let Ok(n) = link.read(&mut buffer[..*read]) {
            *now = *now + Duration::from_micros(100);
            let input = Input::Received { conn: *conn, payload: &buffer[..n] };
            endpoint.handle(*now, input, actions);
            while let Some(action) = actions.pop_front() {
                match action {
                    Action::Emit(event) => show(&event, seen),
                    // Heartbeats, now and then.
                    Action::ArmTimer(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

#[inline]
pub(crate) fn show(event: &Event, seen: &mut impl Seen) {
    macro_rules! see {
        ($kind:ident, $first:expr, $second:expr) => {
            seen.see(
                Kind::$kind,
                $first.as_deref().unwrap_or_default(),
                $second.as_deref().unwrap_or_default(),
            )
        };
    }
    match event {
        Event::SessionInit(init) => see!(SessionInit, init.token(), init.client_id()),
        Event::Chat(chat) => see!(Chat, chat.text(), chat.sender()),
        Event::StatusUpdate(update) => see!(StatusUpdate, update.status(), update.agent()),
        Event::PrNotification(pr) => {
            std::hint::black_box(pr.pr());
            see!(PrNotification, pr.action(), None::<&str>)
        }
        Event::PlayerJoined(player) => see!(PlayerJoined, player.id(), player.name()),
        Event::PlayerLeft(player) => see!(PlayerLeft, player.id(), player.name()),
        Event::Unhandled(_) => see!(Unhandled, None::<&str>, None::<&str>),
        other => panic!("{other:?}"),
    }
}
