//! Wrong usage and plain failures: exit codes and words.

use super::*;

#[test]
fn exit_codes_and_words() {
    let run = |args: &[&str], input: &str| {
        let mut hermes = Hermes::start(args);
        if !input.is_empty() {
            hermes.say(input);
        }
        let (status, _, errors) = hermes.end();
        (status.code().unwrap(), errors)
    };
    // Wrong usage.
    for (args, word) in [
        (&["conect"][..], "conect"),
        (&["connect", "ftp://a/"], "`url` the scheme must be ws or wss"),
        (
            &["connect", "ws://a/", "--set", "max_atempts=1"],
            "there is no setting `max_atempts`; did you mean `max_attempts`?",
        ),
        (&["connect", "ws://a/", "--set", "zzz=1"], "there is no setting `zzz`\n"),
        (
            &["connect", "ws://a/", "--set", "backoff_base_ms=null"],
            "`backoff_base_ms`: invalid type: null, expected a number\n",
        ),
        (&["connect", "ws://a/", "--heartbeat-intervall", "5"], "'--heartbeat-interval'"),
        (&["connect", "ws://a/", "--send-buffer", "0"], "at least 1 byte"),
        (&["connect", "ws://a/", "--receive-buffer", "0"], "at least 1 byte"),
        (&["gateway", "--fault", "live refuse=200"], "a STATUS from 300 to 599"),
        (&["connect", "ws://a/", "--set", "max_attempts"], "NAME=VALUE"),
        (&["connect", "ws://a/", "--set", "max_attempts=many"], "max_attempts"),
        (&["connect", "ws://a/", "--header", "Authorization"], "Name: value"),
        (&["connect", "ws://a/", "--redact"], "--record"),
        (&["connect", "ws://a/", "--set", "deflate_client_max_window_bits=7"], "8 to 15"),
        (
            &["connect", "ws://a/", "--set", "deflate=true", "--record", "x.trace", "--redact"],
            "the setting `deflate`",
        ),
        (&["connect", "ws://a/", "--receipts", "all"], "receipts"),
        (&["connect", "ws://a/", "--jitter", "some"], "jitter"),
        (
            &["connect", "ws://a/", "--message-id", ""],
            "`message_id_member` must be a name of 1 to 64",
        ),
        (&["connect", "ws://a/", "--set", "message_id_member=\"a\\\"b\""], "`message_id_member`"),
        (&["connect", "ws://a/", "--resume", "later"], "resume"),
        (&["connect", "ws://a/", "--ttl", "soon"], "message_ttl_ms"),
        (&["connect", "ws://a/", "--fallback", "ftp://b/"], "`fallback_urls`"),
        (&["connect", "ws://a/", "--set", "ask_credentials=true"], "--credentials"),
        (&["connect", "ws://a/", "--proxy", "ftp://b/"], "proxy: the URL has a scheme"),
        (&["connect", "ws://a/", "--proxy", "b", "--proxy-from-env"], "--proxy-from-env"),
        (&["connect", "ws://a/", "--resolve", "a:80"], "HOST:PORT:ADDRESS"),
        (&["connect", "ws://a/", "--resolve", "a:80:b"], "\"b\" is no address"),
        (&["connect", "ws://a/", "--attempt-delay", "9"], "--attempt-delay"),
        (&["gateway", "nowhere"], "nowhere"),
        (&["gateway", "--fault", "live dance"], "dance"),
    ] {
        let (code, errors) = run(args, "");
        assert_eq!(code, 2, "{args:?}: {errors}");
        assert!(errors.contains(word), "{args:?}: {errors}");
    }
    // Failures.
    let refused =
        ["connect", "ws://127.0.0.1:9/", "--max-attempts", "1", "--set", "backoff_base_ms=500"];
    let (code, errors) = run(&refused, &chat(1));
    assert_eq!(code, 1);
    assert!(
        errors.contains(
            "gave up: max_attempts are used up (reconnects: 1)\nhermes: messages in doubt: 0; dropped: 0; unsent: 1"
        ),
        "{errors}"
    );
    let (code, errors) = run(&["replay", "/nonexistent"], "");
    assert!(code == 1 && errors.contains("/nonexistent"), "{errors}");
    let (code, errors) = run(&["replay", "-"], "nonsense");
    assert!(code == 1 && errors.contains("line 1"), "{errors}");
    // Of the last input the actions may be missing, as in a recording that was killed.
    let inputs = "{\"at\":0,\"in\":\"connect\"}\n{\"at\":1,\"in\":\"disconnect\"}";
    let (code, errors) = run(&["replay", "--check", "-"], inputs);
    assert!(code == 1 && errors.contains("the machine did"), "{errors}");

    let (gateway, addr) = Hermes::gateway("127.0.0.1:0");
    let (code, errors) = run(&["connect", &format!("ws://{addr}/")], "not json");
    assert!(code == 1 && errors.contains("input line 1 was not sent"), "{errors}");
    let (code, errors) = run(&["gateway", &addr], "");
    assert!(code == 1 && errors.contains("can't listen"), "{errors}");
    gateway.kill();
}

/// A directory of certificates, as curl's `--capath` takes it.
#[cfg(feature = "tls")]
#[test]
fn a_directory_of_certificates_is_told_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().to_str().unwrap();
    let (status, _, errors) =
        Hermes::start(&["connect", "wss://127.0.0.1:9/", "--cacert", name]).end();
    assert_eq!(status.code(), Some(1), "{errors}");
    let words = format!("can't read {name}: it is a directory; name a file in PEM, ");
    assert!(errors.contains(&words), "{errors}");
    assert!(errors.contains(&format!("`cat {name}/*.pem > FILE`")), "{errors}");
}

/// Nothing is no trace, and no success.
#[test]
fn an_empty_trace_is_told() {
    for (trace, is_trace) in [("", false), ("\n  \n", false), ("{\"trace\":1}\n", true)] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.trace");
        std::fs::write(&file, trace).unwrap();
        let name = file.to_str().unwrap();
        for args in [&["replay", name][..], &["replay", "--check", name]] {
            let (status, _, errors) = Hermes::start(args).end();
            let is_check = args.len() == 3;
            assert_eq!(status.success(), is_trace && !is_check, "{trace:?}: {errors}");
            let words = format!("{name}: there is no trace in it: it is empty");
            assert_eq!(errors.contains(&words), !is_trace, "{trace:?}: {errors}");
        }
    }
}
