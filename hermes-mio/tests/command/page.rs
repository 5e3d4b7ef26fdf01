//! `hermes replay --html`, opened in a real browser and used as a person would.

use std::fmt::Write as _;

use super::browser::Browser;
use super::*;

/// A page of a trace, open in a browser; `None` if there is no browser.
fn open(test: &str, trace: &str) -> Option<(Browser, tempfile::TempDir)> {
    let browser = Browser::start(test)?;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("incident.trace");
    std::fs::write(&file, trace).unwrap();
    let (status, lines, errors) =
        Hermes::start(&["replay", "--html", file.to_str().unwrap()]).end();
    assert!(status.success(), "{errors}");
    let page = directory.path().join("incident.html");
    std::fs::write(&page, lines.join("\n")).unwrap();
    browser.open(&format!("file://{}", page.display()));
    Some((browser, directory))
}

/// A link that is lost with a message in doubt, two refusals and a resumed connection.
fn outage() -> String {
    let mut trace = String::from(
        r#"{"trace":1,"config":{"url":"ws://a/","heartbeat_interval_ms":null,"jitter":"none"}}
{"at":0,"in":"connect"}
{"at":2,"in":"opened","conn":1}
"#,
    );
    for n in 1..=3 {
        let _ = writeln!(
            trace,
            r#"{{"at":{n}00,"in":"send","message":{{"type":"chat","text":"</script><b>{n}"}}}}"#
        );
    }
    trace += r#"{"at":400,"in":"flushed","conn":1,"up_to":9}
{"at":5000,"in":"closed","conn":1,"cause":"lost","text":"reset by peer"}
{"at":6000,"in":"timer"}
{"at":6001,"in":"closed","conn":2,"cause":"connect","text":"refused"}
{"at":8001,"in":"timer"}
{"at":8002,"in":"opened","conn":3}
{"at":9000,"in":"disconnect"}
"#;
    trace
}

#[test]
fn a_page_is_searched_zoomed_and_clicked() {
    let Some((browser, _files)) = open("a_page_is_searched_zoomed_and_clicked", &outage()) else {
        return;
    };
    let text = |id: &str| {
        let body = format!("return document.getElementById('{id}').textContent");
        browser.eval(&body).as_str().unwrap().to_owned()
    };
    let number = |body: &str| browser.eval(body).as_f64().unwrap();
    let facts = text("facts");
    assert!(facts.contains("3 connections, 2 ended badly · 3 messages out"), "{facts}");
    // Everything is in the one file.
    assert_eq!(number("return performance.getEntriesByType('resource').length"), 0.0);

    browser.keys("/in doubt");
    wait(&browser, "document.getElementById('count').textContent.startsWith('1 of')");
    // Escape clears the search.
    browser.keys("\u{E00C}");
    wait(&browser, "document.getElementById('count').textContent.endsWith('entries')");

    // The next trouble, and the one behind it.
    browser.keys("n");
    assert!(text("detail").contains("#1 to #3 in doubt"), "{}", text("detail"));
    browser.keys("n");
    assert!(
        text("detail").contains("ws-disconnected: the connection was lost"),
        "{}",
        text("detail")
    );

    let length =
        "const view = document.getElementById('canvas').dataset; return view.to - view.from";
    let before = number(length);
    browser.keys("++");
    assert_eq!(number(length).round(), (before / 4.0).round());
    browser.keys("0");
    assert!(number(length) >= 9_000_000.0);

    // A click on the timeline selects in the list: the third connection is open at 8.5 s.
    let place = browser.eval(
        "const canvas = document.getElementById('canvas'), box = canvas.getBoundingClientRect();\
         const { from, to } = canvas.dataset;\
         return [box.left + (8.5e6 - from) / (to - from) * box.width, box.top + 50].map(Math.round)",
    );
    browser.click(place[0].as_i64().unwrap(), place[1].as_i64().unwrap());
    assert!(text("detail").contains("connection 3 to ws://a/"), "{}", text("detail"));
    // As a screen reader has it.
    let selected = browser.eval(
        "const row = document.querySelector('[role=option][aria-selected=true]');\
         return [row.getAttribute('aria-label'), row.id === document.getElementById('list').getAttribute('aria-activedescendant')]",
    );
    assert!(
        selected[0].as_str().unwrap().contains("connection 3, attempt at ws://a/"),
        "{selected}"
    );
    assert_eq!(selected[1], json!(true));
    // A message's text is text, and no part of the page.
    assert_eq!(number("return document.querySelectorAll('b').length"), 0.0);
}

/// Waits until an expression holds in the page.
fn wait(browser: &Browser, condition: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while browser.eval(&format!("return {condition}")) != json!(true) {
        assert!(std::time::Instant::now() < deadline, "{condition}");
        std::thread::yield_now();
    }
}

#[test]
fn a_page_holds_a_hundred_thousand_entries() {
    let mut trace = String::from(
        "{\"trace\":1,\"auto\":true,\"config\":{\"url\":\"ws://a/\",\"heartbeat_interval_ms\":null}}\n\
         {\"at\":0,\"in\":\"connect\"}\n{\"at\":1,\"in\":\"opened\",\"conn\":1}\n",
    );
    for n in 0..50_000 {
        let at = 2 + n * 10;
        let _ = writeln!(
            trace,
            r#"{{"at":{at},"in":"text","data":"{{\"type\":\"chat\",\"text\":\"message {n}\"}}"}}"#
        );
    }
    let test = "a_page_holds_a_hundred_thousand_entries";
    let Some((browser, _files)) = open(test, &trace) else { return };
    let count = browser.eval("return document.getElementById('count').textContent");
    let count: u32 =
        count.as_str().unwrap().replace(|c: char| !c.is_ascii_digit(), "").parse().unwrap();
    assert!(count > 100_000, "{count}");
    let loaded = browser.eval("return performance.now()");
    println!("100,000 entries: {loaded} ms since the page was opened");
    browser.keys("/message 49999");
    wait(&browser, "document.getElementById('count').textContent.startsWith('2 of')");
}
