//! Random conversations with zlib, under every agreement there can be.

use hermes_proto::ws::{Connection, Event};
use hermes_proto::{Config, Frame};
use hermes_tests::ws::bits::*;
use hermes_tests::ws::deflate::{Gateway, agreed, config};
use hermes_tests::ws::*;
use proptest::prelude::*;

/// What both sides keep to.
#[derive(Clone, Debug)]
struct Agreement {
    server_takes_over: bool,
    client_takes_over: bool,
    server_bits: u8,
    client_bits: u8,
}

impl Agreement {
    fn config(&self) -> Config {
        Config {
            deflate_client_no_context_takeover: !self.client_takes_over,
            deflate_server_no_context_takeover: !self.server_takes_over,
            deflate_client_max_window_bits: self.client_bits,
            deflate_server_max_window_bits: self.server_bits,
            ..config()
        }
    }

    fn extensions(&self) -> String {
        let mut extensions = format!(
            "permessage-deflate; server_max_window_bits={}; client_max_window_bits={}",
            self.server_bits, self.client_bits
        );
        for (takes_over, parameter) in [
            (self.server_takes_over, "; server_no_context_takeover"),
            (self.client_takes_over, "; client_no_context_takeover"),
        ] {
            if !takes_over {
                extensions.push_str(parameter);
            }
        }
        extensions
    }
}

/// What one side says next.
#[derive(Clone, Debug)]
enum Line {
    Client {
        binary: bool,
        data: String,
        uncompressed: bool,
    },
    Gateway {
        binary: bool,
        data: String,
        uncompressed: bool,
        cuts: Vec<usize>,
        ping: bool,
    },
    /// An idle moment of the client's, or a copy of it that goes on in its place.
    Copy,
}

fn agreement() -> impl Strategy<Value = Agreement> {
    (any::<bool>(), any::<bool>(), 8..=15_u8, 8..=15_u8).prop_map(
        |(server_takes_over, client_takes_over, server_bits, client_bits)| Agreement {
            server_takes_over,
            client_takes_over,
            server_bits,
            client_bits,
        },
    )
}

/// Much of it again and again, some of it never.
fn data() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => "[a-d]{1,4}",
        2 => Just("{\"type\":\"chat\",\"text\":\"".to_owned()),
        1 => "\\PC{0,20}",
    ];
    let some = prop::collection::vec(word, 0..40).prop_map(|words| words.concat());
    prop_oneof![
        20 => some.clone(),
        1 => (some, 1..200_usize).prop_map(|(data, times)| data.repeat(times)),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4)
        .prop_map(|cuts| cuts.iter().map(|cut| cut.index(1 << 20)).collect());
    prop_oneof![
        4 => (any::<bool>(), data(), prop::bool::weighted(0.2)).prop_map(
            |(binary, data, uncompressed)| Line::Client { binary, data, uncompressed }
        ),
        4 => (any::<bool>(), data(), prop::bool::weighted(0.2), cuts, any::<bool>()).prop_map(
            |(binary, data, uncompressed, cuts, ping)| Line::Gateway {
                binary, data, uncompressed, cuts, ping
            }
        ),
        1 => Just(Line::Copy),
    ]
}

struct Pair {
    client: Connection,
    gateway: Gateway,
    /// Whether the client's messages refer to earlier ones.
    helps: bool,
}

impl Pair {
    fn say(&mut self, line: &Line) {
        match line {
            Line::Client { binary, data, uncompressed } => {
                let frame = if *binary {
                    Frame::Binary(data.as_bytes().to_vec().into())
                } else {
                    Frame::Text(data.as_str().into())
                };
                assert!(if *uncompressed {
                    self.client.send_uncompressed(&frame)
                } else {
                    self.client.send(&frame)
                });
                let heard = self.gateway.read(self.client.transmit());
                self.client.transmitted(usize::MAX);
                let opcode = if *binary { BINARY } else { TEXT };
                assert_eq!(heard.len(), 1);
                assert_eq!(heard[0].opcode, opcode);
                assert!(heard[0].message == data.as_bytes());
                assert!(heard[0].length <= data.len() + if self.helps { 7 } else { 0 });
                assert!(!(*uncompressed && heard[0].deflated));
            }
            Line::Gateway { binary, data, uncompressed, cuts, ping } => {
                let payload = if *uncompressed {
                    data.as_bytes().to_vec()
                } else {
                    self.gateway.deflate(data.as_bytes())
                };
                let bit = if *uncompressed { 0 } else { RSV1 };
                let opcode = if *binary { BINARY } else { TEXT };
                let mut ends: Vec<usize> = cuts.iter().map(|at| at % (payload.len() + 1)).collect();
                ends.push(payload.len());
                ends.sort_unstable();
                let (mut bytes, mut start) = (Vec::new(), 0);
                for (i, end) in ends.iter().enumerate() {
                    let first = if i == 0 { bit | opcode } else { CONTINUATION };
                    let fin = if i + 1 == ends.len() { FIN } else { 0 };
                    bytes.extend(frame(fin | first, &payload[start..*end]));
                    start = *end;
                    if *ping && fin == 0 {
                        bytes.extend(pong("between"));
                    }
                }
                let mut events = Vec::new();
                for piece in bytes.chunks(1 + cuts.first().map_or(usize::MAX - 1, |at| at % 50)) {
                    events.extend(feed(&mut self.client, piece));
                }
                let message = events.pop();
                assert!(events.iter().all(|e| matches!(e, Event::Frame(Frame::Pong(_)))));
                let Some(Event::Frame(message)) = message else { panic!("{message:?}") };
                match (&message, *binary) {
                    (Frame::Binary(got), true) => assert!(got[..] == *data.as_bytes()),
                    (Frame::Text(got), false) => assert!(got.as_str() == data),
                    other => panic!("{other:?}"),
                }
            }
            Line::Copy => {
                let copy = self.client.clone();
                assert_eq!(copy, self.client);
                self.client = copy;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn both_understand_each_other(
        agreement in agreement(),
        lines in prop::collection::vec(line(), 1..40),
    ) {
        let extensions = agreement.extensions();
        let client = agreed(agreement.config(), &extensions);
        let gateway = Gateway::new(&extensions);
        let mut pair = Pair { client, gateway, helps: agreement.client_takes_over };
        for line in &lines {
            pair.say(line);
        }
    }
}
