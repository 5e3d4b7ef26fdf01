//! What is offered, and which answers count (RFC 7692 §5.1, §7.1).

use hermes_proto::reason::UpgradeError;
use hermes_proto::ws::{Connection, Event};
use hermes_proto::{CloseReason, Config};
use hermes_tests::ws::deflate::{PLAIN, agreed, answer, config};
use hermes_tests::ws::*;

/// The request's `Sec-WebSocket-Extensions`.
fn offer(config: Config) -> Option<String> {
    let conn = Connection::new(config, SEED).expect("the settings are fine");
    let request = String::from_utf8(conn.transmit().to_vec()).expect("a request is ASCII");
    let mut offers = request.lines().filter_map(|l| l.strip_prefix("Sec-WebSocket-Extensions: "));
    let offer = offers.next().map(str::to_owned);
    assert_eq!(offers.next(), None);
    offer
}

fn check(config: Config, answer: Vec<u8>, event: Event) {
    let name = answer.escape_ascii().to_string();
    Case::new(name, answer, vec![event]).check(&upgrading(config));
}

fn refused(config: Config, extensions: &str, error: UpgradeError) {
    let reason = CloseReason::Upgrade { error };
    check(config, answer(extensions), Event::Failed(reason));
}

fn bad(config: Config, extensions: &str) {
    refused(config, extensions, UpgradeError::BadExtension);
}

#[test]
fn the_offer() {
    assert_eq!(offer(hermes_tests::config()), None, "off by default");
    let config = config();
    assert_eq!(
        offer(config.clone()).as_deref(),
        Some("permessage-deflate; client_max_window_bits=12")
    );
    let config = Config { deflate_client_max_window_bits: 15, ..config };
    assert_eq!(
        offer(config.clone()).as_deref(),
        Some("permessage-deflate; client_max_window_bits")
    );
    let config = Config {
        deflate_client_no_context_takeover: true,
        deflate_server_no_context_takeover: true,
        deflate_client_max_window_bits: 8,
        deflate_server_max_window_bits: 9,
        ..config
    };
    assert_eq!(
        offer(config).as_deref(),
        Some(
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=9; client_max_window_bits=8"
        )
    );
}

#[test]
fn answers_to_the_plain_offer() {
    for extensions in [
        PLAIN,
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate;server_no_context_takeover;client_no_context_takeover",
        // Also what was not asked for (§7.1.1.1, §7.1.2.1).
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=15",
        "permessage-deflate; client_max_window_bits=8",
        // More than we use is ours not to use (§7.1.2.2).
        "permessage-deflate; client_max_window_bits=15",
        // In any order, with any space (RFC 6455 §9.1), and a token in quotes.
        "permessage-deflate ;\tclient_max_window_bits = 10 ; server_no_context_takeover; \
         server_max_window_bits=\"12\" ; client_no_context_takeover",
    ] {
        check(config(), answer(extensions), Event::Open);
        let conn = agreed(config(), extensions);
        assert_eq!(conn.extensions(), Some(extensions));
    }
}

#[test]
fn no_answer_is_no_compression() {
    let conn = opened(config());
    assert_eq!(conn.extensions(), None);
    Case::violation(
        "a compressed message",
        hermes_tests::ws::deflate::deflated_text([0]),
        hermes_proto::reason::Violation::ReservedBit,
    )
    .check(&conn);
}

#[test]
fn an_extension_that_was_not_offered() {
    for extensions in [
        "permessage-bzip2",
        "x-webkit-deflate-frame",
        "permessage-deflate, permessage-bzip2",
        "permessage-bzip2, permessage-deflate",
        "Permessage-Deflate",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate,",
        "",
        ";",
        "; permessage-deflate",
    ] {
        refused(config(), extensions, UpgradeError::UnexpectedExtension);
    }
    let twice = answer("permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate");
    let reason = CloseReason::Upgrade { error: UpgradeError::UnexpectedExtension };
    check(config(), twice, Event::Failed(reason));
    // Nothing was.
    refused(hermes_tests::config(), PLAIN, UpgradeError::UnexpectedExtension);
}

#[test]
fn parameters_that_can_not_be() {
    for parameters in [
        "x",
        "x=1",
        "server_no_context_takeover=1",
        "client_no_context_takeover=\"\"",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=10; client_max_window_bits=10",
        "server_max_window_bits",
        "client_max_window_bits",
        "Server_Max_Window_Bits=10",
        "",
        ";",
        "server_no_context_takeover;",
    ] {
        bad(config(), &format!("permessage-deflate; {parameters}"));
    }
    for bits in [
        "",
        "0",
        "7",
        "16",
        "010",
        "+10",
        "-10",
        "10.0",
        "1O",
        "\"10",
        "10\"",
        "\"\"",
        "\"\"10\"\"",
    ] {
        bad(config(), &format!("permessage-deflate; server_max_window_bits={bits}"));
        bad(config(), &format!("permessage-deflate; client_max_window_bits={bits}"));
    }
}

/// What is asked of the server is granted, or the whole offer declined.
#[test]
fn what_was_asked_for_and_not_granted() {
    let config = Config { deflate_server_no_context_takeover: true, ..config() };
    bad(config.clone(), PLAIN);
    bad(config.clone(), "permessage-deflate; client_no_context_takeover");
    let granted = "permessage-deflate; server_no_context_takeover";
    check(config.clone(), answer(granted), Event::Open);
    check(config, reply(ACCEPT), Event::Open);

    let config = Config {
        deflate_server_max_window_bits: 10,
        deflate_server_no_context_takeover: false,
        ..hermes_tests::ws::deflate::config()
    };
    bad(config.clone(), PLAIN);
    bad(config.clone(), "permessage-deflate; server_max_window_bits=11");
    for bits in 8..=10 {
        let granted = format!("permessage-deflate; server_max_window_bits={bits}");
        check(config.clone(), answer(&granted), Event::Open);
    }
    check(config, reply(ACCEPT), Event::Open);
}
