//! Credentials are not shown.

use super::*;

#[track_caller]
fn keeps_it(what: &(impl Debug + ?Sized)) {
    let (debug, pretty) = (format!("{what:?}"), format!("{what:#?}"));
    assert!(!debug.contains(SECRET) && !pretty.contains(SECRET), "{debug}");
}

#[test]
fn secrets_are_not_in_debug() {
    let credentials = Credentials { token: Some(SECRET.into()), ..bearer(SECRET) };
    keeps_it(&credentials);
    assert_eq!(
        format!("{credentials:?}"),
        r#"Credentials { headers: ["Authorization"], token: Some("[withheld]") }"#
    );
    assert_eq!(format!("{:?}", none()), "Credentials { headers: [], token: None }");

    let conn = ConnId(1);
    let inputs = [
        Input::Connect,
        Input::Credentials { conn, credentials: credentials.clone() },
        Input::Opened { conn },
        Input::Received { conn, payload: Frame::Text("1".into()) },
        Input::Closed { conn, reason: lost() },
    ];
    inputs.iter().for_each(keeps_it);

    let config = Config { delivery: Delivery::AtLeastOnce, ..asking() };
    let mut host = Host::new(config);
    for input in inputs {
        let actions = host.at(1).input(input).take();
        keeps_it(&actions);
        keeps_it(host.client());
        let why = host.client().why(ms(1));
        assert!(!why.contains(SECRET), "{why}");
    }

    let mut endpoint = Endpoint::new(asking(), start()).unwrap();
    let mut out = Actions::new();
    endpoint.connect(ms(0), &mut out);
    endpoint.handle(ms(1), Input::Credentials { conn, credentials }, &mut out);
    keeps_it(&endpoint);
    endpoint.handle(ms(1), Input::Opened { conn }, &mut out);
    assert!(String::from_utf8_lossy(endpoint.transmit()).contains(SECRET));
    keeps_it(&endpoint);
    keeps_it(&out);
}
