//! An answer with the status 101 (RFC 6455 §4.1), and the faults that it may have.

use hermes_proto::Config;
use hermes_proto::reason::UpgradeError;
use hermes_proto::ws::Event;
use hermes_tests::config;
use hermes_tests::ws::*;

use super::{GOOD, answer, check, failed};

#[test]
fn good_answers() {
    for text in GOOD {
        check(&upgrading(config()), answer(text), vec![Event::Open]);
    }
}

#[test]
fn answers_without_upgrade() {
    for upgrade in [
        "",
        "Upgrade:\r\n",
        "Upgrade: h2c\r\n",
        "Upgrade: websocket2\r\n",
        "Upgrade: websocket, h2c\r\n",
        "Upgrade: websocket/13\r\n",
        "Upgrade: websocket\r\nUpgrade: websocket\r\n",
        "X-Upgrade: websocket\r\n",
        // White space is spaces and tabs (RFC 9110 §5.6.3).
        "Upgrade: websocket\u{a0}\r\n",
    ] {
        let text = format!(
            "HTTP/1.1 101 X\r\n{upgrade}Connection: Upgrade\r\nSec-WebSocket-Accept: {{A}}\r\n\r\n"
        );
        check(&upgrading(config()), answer(&text), failed(UpgradeError::NoUpgrade));
    }
}

#[test]
fn answers_without_connection() {
    for connection in [
        "",
        "Connection:\r\n",
        "Connection: keep-alive\r\n",
        "Connection: close\r\n",
        "Connection: Upgraded\r\n",
        "Connection: Up grade\r\n",
        "Connection: keep-alive; Upgrade\r\n",
        "Connection: keep-alive\r\nConnection: close\r\n",
        "Connection: keep-alive,\u{2003}Upgrade\r\n",
    ] {
        let text = format!(
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\n{connection}Sec-WebSocket-Accept: {{A}}\r\n\r\n"
        );
        check(&upgrading(config()), answer(&text), failed(UpgradeError::NoConnectionUpgrade));
    }
}

#[test]
fn answers_to_another_key() {
    let lower = ACCEPT.to_ascii_lowercase();
    for accept in [
        "",
        "Sec-WebSocket-Accept:\r\n",
        // To the key of RFC 6455 §1.3.
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        &format!("Sec-WebSocket-Accept: {lower}\r\n"),
        // The key itself.
        "Sec-WebSocket-Accept: 9pKJeIXAyyCj5M0QagsVvA==\r\n",
        "Sec-WebSocket-Accept: {A}=\r\n",
        "Sec-WebSocket-Accept: \"{A}\"\r\n",
        "Sec-WebSocket-Accept: {A}, {A}\r\n",
        "Sec-WebSocket-Accept: {A}\r\nSec-WebSocket-Accept: {A}\r\n",
        "Sec-WebSocket-Accept: {A}\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "Sec-WebSocket-Key: {A}\r\n",
        "Sec-WebSocket-Accept: \u{85}{A}\r\n",
    ] {
        let text =
            format!("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{accept}\r\n");
        check(&upgrading(config()), answer(&text), failed(UpgradeError::AcceptMismatch));
    }
}

#[test]
fn extensions_were_not_asked_for() {
    for extension in
        ["permessage-deflate", "x; a=b, permessage-deflate; client_no_context_takeover"]
    {
        let text = GOOD[0].replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: ") + extension;
        let text = answer(&(text + "\r\n\r\n"));
        check(&upgrading(config()), text, failed(UpgradeError::UnexpectedExtension));
    }
}

#[test]
fn subprotocols() {
    let asked = ["hermes.v2", "hermes.v1"];
    let unexpected = || Err(UpgradeError::UnexpectedSubprotocol);
    for (asked, header, chosen) in [
        (&asked[..], "", Ok(None)),
        (&asked, "Sec-WebSocket-Protocol: hermes.v2\r\n", Ok(Some("hermes.v2"))),
        (&asked, "sec-websocket-protocol:hermes.v1\t\r\n", Ok(Some("hermes.v1"))),
        (&asked, "Sec-WebSocket-Protocol: hermes.v3\r\n", unexpected()),
        // They are compared as they are (§4.1, step 6; §11.3.4).
        (&asked, "Sec-WebSocket-Protocol: Hermes.V2\r\n", unexpected()),
        (&asked, "Sec-WebSocket-Protocol:\r\n", unexpected()),
        (&asked, "Sec-WebSocket-Protocol: hermes.v2, hermes.v1\r\n", unexpected()),
        (
            &asked,
            "Sec-WebSocket-Protocol: hermes.v2\r\nSec-WebSocket-Protocol: hermes.v2\r\n",
            unexpected(),
        ),
        (&[], "", Ok(None)),
        (&[], "Sec-WebSocket-Protocol: hermes.v2\r\n", unexpected()),
        (&[], "Sec-WebSocket-Protocol:\r\n", unexpected()),
    ] {
        let subprotocols = asked.iter().map(|&name| name.into()).collect();
        let conn = upgrading(Config { subprotocols, ..config() });
        let text = GOOD[0].replace("\r\n\r\n", "\r\n") + header + "\r\n";
        let events = chosen.map_or_else(failed, |_| vec![Event::Open]);
        check(&conn, answer(&text), events);

        let mut conn = conn;
        feed(&mut conn, &answer(&text));
        assert_eq!(conn.subprotocol(), chosen.unwrap_or(None), "{header:?}");
    }
}
