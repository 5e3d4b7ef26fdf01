//! The client's settings, from flags and `--set`.

use hermes_proto::{Config, DEFAULT_URL};
use serde_json::{Map, Value};

use super::args::Args;
use super::credentials::header;
use crate::suggest::did_you_mean;

/// The settings: the URL, then the flags, then `--set`.
pub(super) fn config(args: &Args) -> Result<Config, String> {
    let mut fields = Map::new();
    let url = args.url.clone().or_else(|| std::env::var("HERMES_WS_URL").ok());
    fields.insert("url".into(), url.unwrap_or_else(|| DEFAULT_URL.into()).into());
    let headers = args.headers.iter().map(|line| {
        let (name, value) = header(line)?;
        Ok(Value::from(vec![name, value]))
    });
    let headers = headers.collect::<Result<Vec<Value>, String>>()?;
    if !headers.is_empty() {
        fields.insert("headers".into(), headers.into());
    }
    if let Some(origin) = &args.origin {
        fields.insert("origin".into(), origin.clone().into());
    }
    if !args.subprotocols.is_empty() {
        fields.insert("subprotocols".into(), args.subprotocols.clone().into());
    }
    if !args.fallbacks.is_empty() {
        fields.insert("fallback_urls".into(), args.fallbacks.clone().into());
    }
    if args.at_least_once {
        fields.insert("delivery".into(), "at-least-once".into());
    }
    if args.at_most_once {
        fields.insert("delivery".into(), "at-most-once".into());
    }
    if args.outbox.is_some() {
        fields.insert("durable".into(), true.into());
    }
    if let Some(member) = &args.message_id {
        fields.insert("message_id_member".into(), member.clone().into());
    }
    for (name, value) in [
        ("max_attempts", &args.max_attempts),
        ("max_redirects", &args.max_redirects),
        ("heartbeat_interval_ms", &args.heartbeat_interval),
        ("connect_timeout_ms", &args.connect_timeout),
        ("max_elapsed_ms", &args.max_elapsed),
        ("jitter", &args.jitter),
        ("receipts", &args.receipts),
        ("message_ttl_ms", &args.ttl),
        ("resume", &args.resume),
    ] {
        if let Some(value) = value {
            fields.insert(name.into(), json_or_string(value));
        }
    }
    for setting in &args.settings {
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| format!("--set takes NAME=VALUE, not {setting:?}"))?;
        fields.insert(name.into(), json_or_string(value));
    }
    let config = parse(fields)?;
    if config.durable && args.outbox.is_none() {
        return Err("`durable` needs --outbox".to_owned());
    }
    if config.ask_credentials && args.credentials.is_none() {
        return Err("`ask_credentials` needs --credentials".to_owned());
    }
    Ok(config)
}

fn parse(fields: Map<String, Value>) -> Result<Config, String> {
    check_names(&fields)?;
    // One by one, so that an error names the setting.
    for (name, value) in &fields {
        let field = Map::from_iter([(name.clone(), value.clone())]);
        serde_json::from_value::<Config>(Value::Object(field))
            .map_err(|error| format!("`{name}`: {}", in_words(&error)))?;
    }
    let config: Config =
        serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
    config.check().map_err(|error| error.to_string())?;
    Ok(config)
}

/// Serde names the types of Rust.
fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let number = |kind: &str| matches!(kind, "f64" | "u16" | "u32" | "u64" | "usize");
    match text.rsplit_once("expected ") {
        Some((problem, "f64")) => format!("{problem}expected a number"),
        Some((problem, kind)) if number(kind) => format!("{problem}expected a whole number"),
        _ => text,
    }
}

/// Serde would list all settings for a name that is none.
fn check_names(fields: &Map<String, Value>) -> Result<(), String> {
    let all = serde_json::to_value(Config::new(DEFAULT_URL)).map_err(|error| error.to_string())?;
    let Value::Object(all) = all else { return Ok(()) };
    match fields.keys().find(|name| !all.contains_key(*name)) {
        Some(name) => {
            let hint = did_you_mean(name, all.keys().map(String::as_str));
            Err(format!("there is no setting `{name}`{hint}"))
        }
        None => Ok(()),
    }
}

fn json_or_string(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| value.into())
}
