//! The client's settings, from flags and `--set`.

use hermes_proto::{Config, DEFAULT_URL};
use serde_json::{Map, Value};

use super::args::Args;
use super::credentials::header;

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
    // One by one, so that an error names the field.
    for (name, value) in &fields {
        let field = Map::from_iter([(name.clone(), value.clone())]);
        serde_json::from_value::<Config>(Value::Object(field))
            .map_err(|error| format!("`{name}`: {error}"))?;
    }
    let config: Config =
        serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
    config.check().map_err(|error| error.to_string())?;
    if config.ask_credentials && args.credentials.is_none() {
        return Err("`ask_credentials` needs --credentials".to_owned());
    }
    Ok(config)
}

fn json_or_string(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| value.into())
}
