//! Peers that send or take too much, one kind at a time.

use super::*;

#[test]
fn answers_without_end() {
    for config in besieged() {
        for line in ["x", "x\n", "x:\n", "X-Line: of a header\r\n"] {
            let endless = [b"HTTP/1.1 101 Yes\r\n".to_vec(), flood(&config, line.as_bytes())];
            let endless = endless.concat();
            // Just within the limit, and then whole.
            let lines = line.repeat((config.max_header_bytes as usize - 30) / line.len());
            let whole = format!("HTTP/1.1 101 Yes\r\n{lines}\r\n\r\n");
            hold(&config, 0, |victim| {
                victim.dial(Credentials::default());
                victim.receive(&endless);
                victim.dial(Credentials::default());
                endless.chunks(1).take(READ).for_each(|byte| victim.receive(byte));
                victim.dial(Credentials::default());
                victim.receive(whole.as_bytes());
            });
        }
        let interim = flood(&config, b"HTTP/1.1 100 Continue\r\nX-Pad: x\r\n\r\n");
        hold(&config, 0, |victim| {
            victim.dial(Credentials::default());
            victim.receive(&interim);
        });
    }
}

#[test]
fn messages_as_large_as_can_be() {
    for config in besieged() {
        for opcode in [TEXT, BINARY] {
            for size in [1, 7, 100, 1_000, config.max_frame_bytes as usize] {
                // A Ping and an empty fragment between, as if there were time for that.
                let between = [ping([0; 125]), frame(CONTINUATION, "")].concat();
                let fragment = [frame(CONTINUATION, vec![b'x'; size]), between].concat();
                let count = config.max_message_bytes as usize / size;
                let message = [frame(opcode, ""), fragment.repeat(count)].concat();
                let last = frame(FIN | CONTINUATION, "");
                let endless = flood(&config, &fragment);
                hold(&config, 0, |victim| {
                    for _ in 0..2 {
                        // One that ends, one that has no end, and one that is cut short.
                        victim.establish();
                        victim.receive(&message);
                        victim.receive(&last);
                        victim.receive(&message);
                        victim.receive(&endless);
                        victim.establish();
                        victim.receive(&message);
                    }
                });
            }
        }
    }
}

#[test]
fn floods_of_control_frames() {
    for config in besieged() {
        for unit in [ping(""), ping([0; 125]), pong(""), pong([0xFF; 125])] {
            let many = flood(&config, &unit);
            for take in [0, 1, usize::MAX] {
                hold(&config, 0, |victim| {
                    victim.establish();
                    for piece in many.chunks(READ) {
                        victim.receive(piece);
                        victim.take(take);
                    }
                });
            }
        }
    }
}

#[test]
fn floods_of_messages() {
    for config in besieged() {
        for unit in [text(""), text("x"), text(r#"{"type":"later"}"#), binary("")] {
            let many = flood(&config, &unit);
            hold(&config, 0, |victim| {
                victim.establish();
                victim.receive(&many);
            });
        }
    }
}

/// Each of them is saved in place of the one before.
#[test]
fn floods_of_sessions() {
    const LIMIT: usize = 8 * KIB;
    let init = |token: &str, id: &str| {
        text(format!(r#"{{"type":"session-init","token":"{token}","clientId":"{id}"}}"#))
    };
    for config in besieged() {
        let most = MIB as u64;
        let config = Config { max_message_bytes: most, max_frame_bytes: most, ..config };
        let sizes = [1, LIMIT - 2, LIMIT, 100_000, MIB / 2 - 100];
        let plain = sizes.map(|size| init(&"t".repeat(size), &"c".repeat(size)));
        let escaped =
            sizes.map(|size| init(&r"\u0001".repeat(size / 6), &r"\ud83d".repeat(size / 6)));
        let (mut victim, _) = hold(&config, 0, |victim| {
            for init in plain.iter().chain(&escaped).cycle().take(100) {
                victim.establish();
                victim.receive(init);
            }
        });
        let ((), _, left) = measure(|| {
            victim.establish();
            plain.iter().chain(&escaped).for_each(|init| victim.receive(init));
            victim.wait();
        });
        assert!(left <= 2 * LIMIT + KIB, "{left} bytes of a session are kept");
    }
}

/// The settings for a machine with little memory: idle, and with all that there may be.
#[test]
fn small_settings_take_little() {
    let mut victim = Victim::new(Config { max_attempts: None, ..Config::small("ws://localhost/") });
    let ((), _, idle) = measure(|| victim.establish());
    assert!(idle <= 2 * KIB, "{idle} bytes while nothing happens");
    let most = frame(TEXT, [b'x'; 2 * KIB]);
    let ((), peak, _) = measure(|| {
        while victim.send(Outgoing::binary(vec![0; 200])) {}
        victim.receive(&most);
        victim.receive(&frame(FIN | CONTINUATION, [b'x'; 2 * KIB]));
        (0..100).for_each(|_| victim.receive(&ping([0; 125])));
    });
    assert!(peak <= 24 * KIB, "{peak} bytes at most");
    println!("idle {idle} B, at most {peak} B");
}

/// What comes behind the end of a conversation is nobody's.
#[test]
fn floods_after_the_close() {
    for config in besieged() {
        let many = flood(&config, &[ping([0; 125]), text("{}"), close(1000, "")].concat());
        let ends: [&[u8]; 4] = [
            &close(1000, [b'x'; 123]),
            &frame(FIN | CLOSE, ""),
            &[0xFF; 14],
            &frame(FIN | TEXT, [0xFF]),
        ];
        for end in ends {
            hold(&config, 0, |victim| {
                victim.establish();
                victim.receive(end);
                victim.receive(&many);
            });
        }
        hold(&config, 0, |victim| {
            victim.establish();
            victim.input(Input::Disconnect);
            victim.receive(&many);
        });
    }
}

/// A peer that takes nothing, or next to nothing, and an application that goes on.
#[test]
fn outboxes_that_nobody_empties() {
    for base in besieged() {
        let sizes = [0, 1, 100, 1_000, base.outbox_max_bytes as usize];
        let policies =
            [OverflowPolicy::Refuse, OverflowPolicy::DropOldest, OverflowPolicy::DropNewest];
        for (size, overflow) in sizes.into_iter().flat_map(|size| policies.map(|how| (size, how))) {
            let message_ttl = Some(Duration::from_secs(3_600));
            let config = Config { overflow, message_ttl, ..base.clone() };
            let ping = ping([0; 125]);
            for take in [0, 1, 1_000, usize::MAX] {
                hold(&config, 0, |victim| {
                    for _ in 0..3 {
                        victim.establish();
                        for n in 0..2 * config.outbox_max_messages {
                            let message = match n % 2 {
                                0 => Outgoing::binary(vec![0; size]),
                                _ => Outgoing::new(&"x".repeat(size.saturating_sub(2)))
                                    .expect("a string is JSON"),
                            };
                            victim.send(message);
                            victim.receive(&ping);
                            victim.take(take);
                        }
                        victim.wait();
                    }
                });
            }
        }
    }
}

/// After ten thousand messages there is no more than after a hundred.
#[test]
fn a_conversation_without_end() {
    for config in besieged() {
        let config = Config { message_ttl: Some(Duration::from_secs(3_600)), ..config };
        let answer = text(r#"{"type":"chat","text":"hi"}"#);
        let round = |victim: &mut Victim| {
            victim.send(Outgoing::text("1"));
            let asked = sent(victim.endpoint.transmit());
            victim.take(usize::MAX);
            victim.receive(&answer);
            for frame in asked {
                if let Sent::Ping(data) = frame {
                    victim.receive(&pong(data));
                }
            }
        };
        let (mut victim, _) = hold(&config, 0, |victim| {
            victim.establish();
            (0..100).for_each(|_| round(victim));
        });
        let ((), _, left) = measure(|| (0..10_000).for_each(|_| round(&mut victim)));
        assert!(left <= KIB, "{left} bytes more than before");
        assert_eq!(victim.endpoint.client().stats().written, 10_100);
    }
}

/// After a thousand connections there is no more than after a hundred.
#[test]
fn reconnects_by_the_thousand() {
    for config in besieged() {
        let ends = [close(1013, [b'x'; 123]), frame(FIN | TEXT, [0xFF]), text("{}")];
        let refusal = b"HTTP/1.1 503 No\r\nRetry-After: 7\r\n\r\n";
        let round = |victim: &mut Victim| {
            for end in &ends {
                victim.establish();
                victim.send(Outgoing::text("1"));
                victim.take(usize::MAX);
                victim.receive(end);
            }
            victim.dial(Credentials::default());
            victim.receive(refusal);
            victim.dial(Credentials::default());
            victim.wait();
        };
        let (mut victim, _) = hold(&config, 0, |victim| (0..100).for_each(|_| round(victim)));
        let ((), _, left) = measure(|| (0..1_000).for_each(|_| round(&mut victim)));
        assert!(left <= KIB, "{left} bytes more than before");
    }
}

/// Each is to a URL as long as can be.
#[test]
fn redirects_without_end() {
    let config = Config {
        max_header_bytes: 8_200,
        max_redirects: 20,
        max_attempts: None,
        ..besieged()[2].clone()
    };
    let answer = format!("HTTP/1.1 302 There\r\nLocation: /{}\r\n\r\n", "x".repeat(7_999));
    hold(&config, 0, |victim| {
        for _ in 0..10 {
            victim.dial(Credentials::default());
            for _ in 0..=20 {
                victim.receive(answer.as_bytes());
                let conn = victim.conn();
                victim.input(Input::Opened { conn });
            }
        }
        assert_eq!(victim.endpoint.client().stats().attempts, 210);
    });
}

/// What the host brings is gone with the attempt that it was brought for, but for the token.
#[test]
fn doors_with_many_locks() {
    // A little more than a power of two.
    const SIZE: usize = 66_000;
    let header = || vec![("Authorization".to_owned(), "x".repeat(SIZE))];
    for base in besieged() {
        let configured = Config { headers: header(), ask_credentials: true, ..base.clone() };
        for (config, own, token) in [
            (configured, false, false),
            (base.clone(), true, false),
            (base.clone(), false, true),
            (base, true, true),
        ] {
            let config = Config { ask_credentials: true, ..config };
            let door = SIZE * (config.headers.len() + usize::from(own) + usize::from(token));
            let (_, left) = hold(&config, door, |victim| {
                for _ in 0..100 {
                    let headers = if own { header() } else { Vec::new() };
                    let token = token.then(|| "t".repeat(SIZE));
                    victim.dial(Credentials { headers, token });
                    let answer = reply_to(victim.endpoint.transmit());
                    victim.take(usize::MAX);
                    victim.receive(&answer);
                    victim.take(usize::MAX);
                }
                victim.lose();
            });
            let kept = SIZE * (config.headers.len() + usize::from(token));
            assert!(left <= kept + 64 * KIB, "{left} bytes are kept");
        }
    }
}

/// A peer that says just enough to be alive, and answers nothing; a machine that sleeps, and a
/// network that comes and goes.
#[test]
fn questions_that_nobody_answers() {
    for config in besieged() {
        let word = pong("");
        hold(&config, 0, |victim| {
            victim.establish();
            for n in 0..20_000 {
                victim.wait();
                victim.now = victim.now + Duration::from_secs(60);
                victim.input(Input::TimerFired);
                victim.input(Input::NetworkChanged { online: n % 2 == 0 });
                victim.receive(&word);
            }
        });
    }
}
