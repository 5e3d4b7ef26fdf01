use std::ffi::OsString;

use proptest::prelude::*;

use super::*;

/// A tunnel through `proxy` to `to`, and what was said so far is sent.
fn tunnel(proxy: &str, to: &str) -> (Tunnel, Vec<u8>) {
    let to = Url::parse(to).unwrap();
    let server = Server::parse(proxy).unwrap();
    let mut tunnel = Tunnel::new(&server, &Host::new(to.host(), to.port())).unwrap();
    let said = sent(&mut tunnel);
    (tunnel, said)
}

fn sent(tunnel: &mut Tunnel) -> Vec<u8> {
    let said = tunnel.transmit().to_vec();
    tunnel.transmitted(said.len());
    said
}

/// Each side's part of a conversation, as often as they take turns.
type Script<'a> = &'a [(&'a [u8], &'a [u8])];

/// Plays a whole script, in pieces of so many bytes: first what the client says, and then what
/// the server answers.
fn play(proxy: &str, to: &str, script: Script<'_>, piece: usize) -> Result<bool, CloseReason> {
    let (mut tunnel, mut said) = tunnel(proxy, to);
    let mut is_open = false;
    for (question, answer) in script {
        assert_eq!(said, *question, "{:?}", String::from_utf8_lossy(&said));
        assert!(!is_open);
        for bytes in answer.chunks(piece) {
            is_open = tunnel.receive(bytes)?;
        }
        said = sent(&mut tunnel);
    }
    assert!(said.is_empty());
    Ok(is_open)
}

/// The same, however it is cut.
fn play_in_pieces(proxy: &str, to: &str, script: Script<'_>) -> Result<bool, CloseReason> {
    let whole = play(proxy, to, script, usize::MAX);
    for piece in 1..40 {
        assert_eq!(play(proxy, to, script, piece), whole, "in pieces of {piece}");
    }
    whole
}

fn refused(status: impl Into<Option<u16>>, text: &str) -> Result<bool, CloseReason> {
    Err(CloseReason::Proxy { status: status.into(), text: text.into() })
}

mod http {
    use super::*;

    const REQUEST: &[u8] =
        b"CONNECT gateway.example:443 HTTP/1.1\r\nHost: gateway.example:443\r\n\r\n";

    fn answered(answer: &[u8]) -> Result<bool, CloseReason> {
        play_in_pieces("http://p:3128", "wss://gateway.example/", &[(REQUEST, answer)])
    }

    #[test]
    fn a_2xx_opens_the_way() {
        for answer in [
            "HTTP/1.1 200 Connection established\r\n\r\n",
            "HTTP/1.0 200 OK\r\nProxy-agent: x\r\n\r\n",
            // RFC 9110 §9.3.6: no body, whatever it says.
            "HTTP/1.1 204 \r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\n\n",
        ] {
            assert_eq!(answered(answer.as_bytes()), Ok(true), "{answer}");
            let cut = &answer.as_bytes()[..answer.len() - 1];
            assert_eq!(answered(cut), Ok(false), "{answer}");
        }
    }

    #[test]
    fn anything_else_is_a_refusal_with_its_status() {
        let answer =
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n";
        assert_eq!(answered(answer), refused(407, "p:3128: Proxy Authentication Required"));
        assert_eq!(answered(b"HTTP/1.1 503 \r\n\r\n<html>"), refused(503, "p:3128: "));
    }

    #[test]
    fn what_is_not_http_is_told_at_once() {
        let says = refused(None, "p:3128: it does not speak HTTP/1.1");
        for answer in ["SSH-2.0-OpenSSH", "HTTP/2", "\x05\x00", "\x15\x03\x01"] {
            assert_eq!(answered(answer.as_bytes()), says);
        }
        let says = refused(None, "p:3128: its answer is not HTTP/1.1");
        for answer in ["HTTP/1.1 two hundred\r\n\r\n", "HTTP/1.1 200 OK\r\nno header\r\n\r\n"] {
            assert_eq!(answered(answer.as_bytes()), says);
        }
    }

    #[test]
    fn an_answer_has_an_end() {
        let says = refused(None, "p:3128: its answer has no end");
        let endless = [&b"HTTP/1.1 200 OK\r\nA: "[..], &vec![b'a'; 20_000]].concat();
        assert_eq!(answered(&endless), says);
        assert_eq!(answered(&b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000)), says);
        assert_eq!(answered(&b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n".repeat(600)), says);
    }

    /// RFC 9112 §5.2: obs-fold is read as a space.
    #[test]
    fn a_header_line_may_be_folded() {
        for answer in [
            "HTTP/1.1 200 OK\r\nVia: 1.1 a,\r\n 1.1 b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nVia: 1.1 a,\r\n\t1.1 b\r\nX: y\r\n\r\n",
            "HTTP/1.1 200 OK\nVia: a\n b\n\n",
        ] {
            assert_eq!(answered(answer.as_bytes()), Ok(true), "{answer}");
        }
        let answer = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n realm=\"x\"\r\n\r\n";
        assert_eq!(answered(answer), refused(407, "p:3128: No"));
    }

    /// Its first 200 characters, without control characters.
    #[test]
    fn a_refusals_body_is_told_if_it_is_text() {
        let says = |text: &str| refused(403, &format!("p:3128: Forbidden: {text}"));
        for (headers, body, text) in [
            ("Content-Type: text/plain\r\nContent-Length: 10", "ask\r\n \x1bIT.", "ask IT."),
            (
                "content-type: application/json; charset=utf-8\r\nContent-Length: 9",
                "{\"a\":\"b\"}",
                "{\"a\":\"b\"}",
            ),
            ("Content-Type: application/problem+json\r\nContent-Length: 2", "{}", "{}"),
            (
                "Content-Type: text/plain\r\nTransfer-Encoding: chunked",
                "3\r\nask\r\n3;x=y\r\n IT\r\n0\r\n\r\n",
                "ask IT",
            ),
        ] {
            let answer = format!("HTTP/1.1 403 Forbidden\r\n{headers}\r\n\r\n{body}");
            assert_eq!(answered(answer.as_bytes()), says(text), "{answer}");
        }
        let long = format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\n{}",
            "é".repeat(9_000)
        );
        assert_eq!(answered(long.as_bytes()), says(&"é".repeat(200)));
        // No text.
        for headers in ["Content-Type: image/png\r\nContent-Length: 3", "Content-Length: 3"] {
            let answer = format!("HTTP/1.1 403 Forbidden\r\n{headers}\r\n\r\nabc");
            assert_eq!(answered(answer.as_bytes()), refused(403, "p:3128: Forbidden"));
        }
    }

    /// A body that does not come whole: the end of the connection, or of the wait for it.
    #[test]
    fn a_refusals_body_may_be_cut_short() {
        let head = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n";
        for (rest, text) in [
            ("Content-Length: 99\r\n\r\nask IT", ": ask IT"),
            ("Transfer-Encoding: chunked\r\n\r\n9\r\nask IT", ": ask IT"),
            ("\r\nask IT", ": ask IT"),
            ("Content-Length: 99\r\n\r\n", ""),
        ] {
            let (mut tunnel, _) = tunnel("http://p:3128", "wss://gateway.example/");
            assert!(!tunnel.is_refused());
            assert_eq!(tunnel.receive(&[head, rest.as_bytes()].concat()), Ok(false));
            assert!(tunnel.is_refused());
            let says = refused(403, &format!("p:3128: Forbidden{text}"));
            assert_eq!(Err(tunnel.lost(&"it ended")), says);
        }
    }

    /// Nobody on the other side speaks first.
    #[test]
    fn nothing_may_follow() {
        let says = refused(None, "p:3128: it says more than it was asked");
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\n\r\nH"), says);
    }

    #[test]
    fn the_request_says_where_and_who() {
        for (proxy, to, request) in [
            (
                "http://ada:a%3Ab@p",
                "ws://gateway.example/path",
                "CONNECT gateway.example:80 HTTP/1.1\r\nHost: gateway.example:80\r\n\
                 Proxy-Authorization: Basic YWRhOmE6Yg==\r\n\r\n",
            ),
            (
                "https://p",
                "wss://[::1]:8443/",
                "CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n",
            ),
        ] {
            assert_eq!(String::from_utf8(tunnel(proxy, to).1).unwrap(), request);
        }
    }
}

mod socks5 {
    use super::*;

    const HELLO: &[u8] = &[5, 1, 0];
    const HELLO_WITH_LOGIN: &[u8] = &[5, 2, 0, 2];
    const CONNECT: &[u8] = b"\x05\x01\x00\x03\x0fgateway.example\x01\xbb";
    const OPEN: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    fn play(proxy: &str, script: Script<'_>) -> Result<bool, CloseReason> {
        play_in_pieces(proxy, "wss://gateway.example/", script)
    }

    #[test]
    fn the_name_goes_to_the_proxy() {
        let script = [(HELLO, &[5, 0][..]), (CONNECT, OPEN)];
        assert_eq!(play("socks5://p", &script), Ok(true));
        assert_eq!(play("socks5h://p", &script), Ok(true));
    }

    /// Also where there is a login that nobody asks for.
    #[test]
    fn a_login_is_offered_and_shown_where_it_is_asked_for() {
        let proxy = "socks5://ada:s3cret@p";
        let script =
            [(HELLO_WITH_LOGIN, &[5, 2][..]), (b"\x01\x03ada\x06s3cret", &[1, 0]), (CONNECT, OPEN)];
        assert_eq!(play(proxy, &script), Ok(true));
        assert_eq!(play(proxy, &[(HELLO_WITH_LOGIN, &[5, 0]), (CONNECT, OPEN)]), Ok(true));
        let script = [(HELLO_WITH_LOGIN, &[5, 2][..]), (b"\x01\x03ada\x06s3cret", &[1, 1])];
        let says = refused(None, "p:1080: it does not take our name and password");
        assert_eq!(play(proxy, &script), says);
    }

    #[test]
    fn addresses_go_as_addresses() {
        for (to, request) in [
            ("ws://192.0.2.1/", &[5, 1, 0, 1, 192, 0, 2, 1, 0, 80][..]),
            ("ws://[::1]:443/", b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb"),
        ] {
            let script = [(HELLO, &[5, 0][..]), (request, OPEN)];
            assert_eq!(play_in_pieces("socks5://p", to, &script), Ok(true));
        }
    }

    /// A longer one would have its length cut to a byte, and the proxy read the rest of the name as
    /// the next request.
    #[test]
    fn a_name_that_is_too_long_is_not_sent() {
        let server = Server::parse("socks5://p").unwrap();
        assert!(Tunnel::new(&server, &Host::new(&"a".repeat(255), 443)).is_ok());
        let refused = Tunnel::new(&server, &Host::new(&"a".repeat(256), 443)).map(|_| false);
        let text = "p:1080: the gateway's name has 256 bytes, and SOCKS5 takes 255";
        assert_eq!(refused, super::refused(None, text));
    }

    #[test]
    fn the_answer_may_have_an_address_of_any_kind() {
        for answer in [
            &[5, 0, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 80][..],
            b"\x05\x00\x00\x03\x07p.local\x00\x50",
            b"\x05\x00\x00\x03\x00\x00\x50",
        ] {
            assert_eq!(play("socks5://p", &[(HELLO, &[5, 0]), (CONNECT, answer)]), Ok(true));
            let cut = &answer[..answer.len() - 1];
            assert_eq!(play("socks5://p", &[(HELLO, &[5, 0]), (CONNECT, cut)]), Ok(false));
            let more = [answer, &[0]].concat();
            let says = refused(None, "p:1080: it says more than it was asked");
            assert_eq!(play("socks5://p", &[(HELLO, &[5, 0]), (CONNECT, &more)]), says);
        }
    }

    #[test]
    fn a_refusal_has_its_reply() {
        for (reply, text) in [(2, "not allowed"), (5, "connection refused"), (99, "")] {
            for more in [&[][..], &[0], &[0, 1, 0, 0, 0, 0, 0, 0]] {
                let answer = [&[5, reply], more].concat();
                let says = refused(u16::from(reply), &format!("p:1080: {text}"));
                assert_eq!(play("socks5://p", &[(HELLO, &[5, 0]), (CONNECT, &answer)]), says);
            }
        }
    }

    #[test]
    fn nonsense_is_told() {
        let says = |text: &str| refused(None, &format!("p:1080: {text}"));
        let first = |proxy, answer| {
            let hello = if proxy == "socks5://p" { HELLO } else { HELLO_WITH_LOGIN };
            play(proxy, &[(hello, answer)])
        };
        assert_eq!(first("socks5://p", b"HTTP/1.1 400 "), says("it does not speak SOCKS5"));
        assert_eq!(first("socks5://p", &[5, 0xff]), says("it wants to know who we are"));
        assert_eq!(first("socks5://a:b@p", &[5, 0xff]), says("it takes no name and password"));
        assert_eq!(first("socks5://p", &[5, 2]), says("it chose what was not offered"));
        for answer in [&[5, 0, 0, 9][..], &[4, 0]] {
            let script = [(HELLO, &[5, 0][..]), (CONNECT, answer)];
            assert_eq!(play("socks5://p", &script), says("it does not speak SOCKS5"));
        }
    }

    /// A server that does not wait for the question would have us talk to it as to the gateway.
    #[test]
    fn an_answer_comes_after_its_question() {
        let (mut tunnel, _) = tunnel("socks5://p", "wss://gateway.example/");
        let says = refused(None, "p:1080: it answers what it was not asked");
        assert_eq!(tunnel.receive(&[&[5, 0][..], OPEN].concat()), says);
    }
}

mod rules {
    use super::*;

    fn from(variables: &'static [(&'static str, &'static str)]) -> Result<Proxy, Error> {
        Proxy::from_variables(|name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    fn try_for_url(proxy: &Proxy, url: &str) -> Result<Option<String>, String> {
        let server = proxy.server_for(&Url::parse(url).unwrap());
        server.map(|server| server.map(|server| server.host.name.clone())).map_err(str::to_owned)
    }

    fn for_url(proxy: &Proxy, url: &str) -> Option<String> {
        try_for_url(proxy, url).unwrap()
    }

    #[test]
    fn the_environment_as_curl_reads_it() {
        for (variables, ws, wss) in [
            (&[][..], None, None),
            (&[("http_proxy", "a")], Some("a"), None),
            (&[("HTTP_PROXY", "a")], None, None),
            (&[("https_proxy", "a")], None, Some("a")),
            (&[("HTTPS_PROXY", "a")], None, Some("a")),
            (&[("HTTPS_PROXY", "a"), ("https_proxy", "b")], None, Some("b")),
            (&[("all_proxy", "a"), ("http_proxy", "b")], Some("b"), Some("a")),
            (&[("ALL_PROXY", "a"), ("all_proxy", "b")], Some("b"), Some("b")),
            (&[("ALL_PROXY", "a"), ("https_proxy", "")], Some("a"), Some("a")),
        ] {
            let proxy = from(variables).unwrap();
            let found = |url| for_url(&proxy, url);
            assert_eq!(found("ws://g.example/").as_deref(), ws, "{variables:?}");
            assert_eq!(found("wss://g.example/").as_deref(), wss, "{variables:?}");
        }
    }

    #[test]
    fn some_hosts_need_none() {
        let all = ("all_proxy", "p");
        for (variables, is_direct) in [
            (vec![all, ("no_proxy", "g.example")], true),
            (vec![all, ("NO_PROXY", "example,::1")], true),
            (vec![all, ("no_proxy", "h.example"), ("NO_PROXY", "g.example")], false),
            (vec![all, ("no_proxy", "*")], true),
        ] {
            let proxy = from(variables.leak()).unwrap();
            assert_eq!(for_url(&proxy, "ws://g.example/").is_none(), is_direct, "{proxy:?}");
        }
        let proxy = Proxy::new("socks5://p").unwrap().except("::1");
        assert_eq!(for_url(&proxy, "ws://[::1]/"), None);
        assert_eq!(for_url(&proxy, "ws://[::2]/").as_deref(), Some("p"));
    }

    /// A variable that can't be read fails the URLs that it applies to, and no other.
    #[test]
    fn a_variable_fails_its_own_urls() {
        for (variables, fails) in [
            (&[("https_proxy", "ftp://u:s3cret@p")][..], "https_proxy has a scheme"),
            (&[("https_proxy", "socks4://p"), ("http_proxy", "p")], "https_proxy has a scheme"),
            (&[("HTTPS_PROXY", "http://")], "HTTPS_PROXY has no host"),
        ] {
            let proxy = from(variables).unwrap();
            let error = try_for_url(&proxy, "wss://g.example/").unwrap_err();
            assert!(error.starts_with(fails) && !error.contains("s3cret"), "{error}");
            assert!(try_for_url(&proxy, "ws://g.example/").is_ok());
            let proxy = proxy.except("g.example");
            assert_eq!(try_for_url(&proxy, "wss://g.example/"), Ok(None));
        }
        let proxy = from(&[("all_proxy", "socks4://p"), ("http_proxy", "p")]).unwrap();
        assert_eq!(for_url(&proxy, "ws://g.example/").as_deref(), Some("p"));
        let error = try_for_url(&proxy, "wss://g.example/").unwrap_err();
        assert!(error.starts_with("all_proxy has a scheme"), "{error}");

        let Err(Error::Proxy { problem }) = Proxy::new("http://u:s3cret@:1") else { panic!() };
        assert_eq!(problem, "the URL has no host");
    }

    /// Such a variable is not an unset one: that would go round the proxy.
    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_utf_8_is_an_error() {
        use std::os::unix::ffi::OsStringExt as _;

        let with = |bad: &'static str| {
            Proxy::from_variables(move |name| {
                let value = OsString::from_vec(b"http://p\xff:1".to_vec());
                (name == bad).then_some(value).or_else(|| (name == "all_proxy").then(|| "q".into()))
            })
        };
        for (name, url) in [
            ("http_proxy", "ws://g.example/"),
            ("HTTPS_PROXY", "wss://g.example/"),
            ("all_proxy", "ws://g.example/"),
        ] {
            let error = try_for_url(&with(name).unwrap(), url).unwrap_err();
            assert_eq!(error, format!("{name} is not UTF-8"));
        }
        assert_eq!(for_url(&with("http_proxy").unwrap(), "wss://g.example/").as_deref(), Some("q"));
        for name in ["no_proxy", "NO_PROXY"] {
            let Err(Error::Proxy { problem }) = with(name) else { panic!("{name}") };
            assert_eq!(problem, format!("{name} is not UTF-8"));
        }
    }
}

/// Bytes as a server might send them: mostly parts of answers.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
        Just(b"HTTP/1.1 100 Continue\r\n".to_vec()),
        Just(b"HTTP/1.1 407 No\r\nA: b\r\n\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(vec![5, 0]),
        Just(vec![5, 2]),
        Just(vec![1, 0]),
        Just(vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        Just(vec![5, 0, 0, 3, 2, 0, 0, 0, 0]),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Nothing panics, nothing grows, and how the bytes were split makes no difference. What is to
    /// be said is sent between two pieces, so each must end where an answer does.
    #[test]
    fn whatever_a_proxy_says(
        bytes in answers(),
        proxy in prop::sample::select(vec!["http://p", "http://a:b@p", "socks5://p", "socks5://a:b@p"]),
    ) {
        let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let (mut tunnel, mut said) = tunnel(proxy, "wss://gateway.example/");
            let mut outcome = Ok(false);
            for piece in pieces {
                outcome = tunnel.receive(piece);
                if outcome.is_err() {
                    break;
                }
                said.extend(sent(&mut tunnel));
            }
            (outcome, said)
        };
        let (one_by_one, said) = run(&mut bytes.chunks(1));
        prop_assert!(said.len() < 500);
        for size in 2..9 {
            let (outcome, _) = run(&mut bytes.chunks(size));
            let too_early = refused(None, "p:1080: it answers what it was not asked");
            prop_assert!(outcome == one_by_one || outcome == too_early, "{size}: {outcome:?}");
        }
    }
}
