//! What passes before `session-init`.

use super::*;

const INIT: &str = r#"{"type":"session-init"}"#;

fn with_session(config: Config) -> Harness {
    let session = Session {
        token: "t".into(),
        client_id: None,
        saved_at: UNIX_MS,
        origin: Some(ORIGIN.into()),
    };
    let mut harness = Harness::start(config, Start { session: Some(session), ..start() });
    harness.connect();
    harness
}

#[test]
fn nothing_but_session_resume_before_session_init() {
    let resume = Sent::text(r#"{"type":"session-resume","token":"t"}"#);
    let mut harness = with_session(Config { resume: ResumeMode::Wait, ..receipts() });
    harness.send("1");
    harness.establish();
    harness.send("2");
    harness.take(usize::MAX);
    assert_eq!(harness.frames(), [&resume].map(Sent::clone));
    // In pieces, the last of which opens the gate.
    let bytes = text(INIT);
    let (head, tail) = bytes.split_at(9);
    assert_eq!(harness.receive(head), []);
    let actions = harness.receive(tail);
    assert!(matches!(&actions[0], Action::Emit(Event::SessionInit(_))), "{actions:?}");
    assert_eq!(actions.last(), Some(&disarm()));
    assert_eq!(harness.frames(), [resume, Sent::text("1"), Sent::text("2"), fence(1, 4)]);
    assert_eq!(harness.take(usize::MAX), [written(1, 2)]);
    assert_eq!(harness.receive(answer(1, 4)), [acknowledged(1, 2)]);
}

/// It can't know what it answers, but a gateway that greets may be as quick as that.
#[test]
fn session_init_in_one_read_with_the_upgrade() {
    let mut harness = with_session(Config { resume: ResumeMode::Wait, ..quiet() });
    harness.send("1");
    harness.opened(1);
    harness.take(usize::MAX);
    let reply = reply_to(&harness.request);
    harness.receive([reply, text(INIT)].concat());
    let resume = Sent::text(r#"{"type":"session-resume","token":"t"}"#);
    assert_eq!(harness.frames(), [resume, Sent::text("1")]);
}
