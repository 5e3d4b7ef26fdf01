//! Messages as types of the application.

use hermes_proto::ParseError;
use hermes_tests::*;
use serde::Deserialize;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Message<'a> {
    Chat {
        #[serde(borrow)]
        text: &'a str,
    },
    Weather {
        celsius: f64,
    },
    SessionInit,
}

#[test]
fn known_and_unknown_messages_are_parsed_alike() {
    let mut host = Host::connected(quiet());
    let event = host.text(1, r#"{"type":"chat","text":"hi","sender":"x"}"#).event();
    assert_eq!(event.parse(), Ok(Message::Chat { text: "hi" }));
    let event = host.text(1, r#"{"type":"weather","celsius":21.5}"#).event();
    assert_eq!(event.parse(), Ok(Message::Weather { celsius: 21.5 }));
    assert_eq!(event.json().unwrap().as_str(), r#"{"type":"weather","celsius":21.5}"#);
    let event = host.text(1, "[1,2]").event();
    assert_eq!(event.parse(), Ok([1, 2]));
}

#[test]
fn an_error_names_the_event_and_the_place() {
    let mut host = Host::connected(quiet());
    let event = host.text(1, r#"{"type":"weather","celsius":"mild"}"#).event();
    let error = event.parse::<Message<'_>>().unwrap_err().to_string();
    assert!(
        error.starts_with(r#"unhandled of type "weather": invalid type: string "mild""#),
        "{error}"
    );
    #[derive(Debug, Deserialize)]
    struct Numbered {
        #[expect(dead_code, reason = "never there")]
        n: u64,
    }
    let event = host.text(1, r#"{"type":"chat"}"#).event();
    let error = event.parse::<Numbered>().unwrap_err().to_string();
    assert_eq!(error, "chat-message: missing field `n` at line 1 column 15");

    let event = host.text(1, "{").event();
    assert_eq!(event.json(), None);
    assert_eq!(event.parse::<Numbered>().unwrap_err(), ParseError::NoJson { event: "malformed" });
}
