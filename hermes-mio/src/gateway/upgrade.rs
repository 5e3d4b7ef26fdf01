//! The answer to an upgrade request: 101, or the refusal that a fault asks for.

use std::time::{Duration, SystemTime};

use tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tungstenite::http::{HeaderValue, StatusCode, header};

use super::faults::{Fault, REFUSALS, ScriptedRetryAfter};
use super::peer::A_YEAR;

/// The refusal that answers an upgrade request, if any.
pub(super) struct Refusal(Option<(u16, Option<ScriptedRetryAfter>)>);

impl Refusal {
    /// The newest one among these faults.
    pub(super) fn of(faults: &[Fault]) -> Self {
        Refusal(faults.iter().rev().find_map(|fault| match *fault {
            Fault::Refuse { status, retry_after } => Some((status, retry_after)),
            _ => None,
        }))
    }
}

impl Callback for Refusal {
    fn on_request(self, _: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let Some((status, retry_after)) = self.0 else { return Ok(response) };
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = Some(status)
            .filter(|status| REFUSALS.contains(status))
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let headers = refusal.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        let now = SystemTime::now();
        match retry_after {
            None => {}
            Some(ScriptedRetryAfter::Seconds(seconds)) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Some(ScriptedRetryAfter::Date(seconds)) => {
                let behind = now - A_YEAR;
                headers.insert(header::DATE, date(behind));
                headers.insert(header::RETRY_AFTER, date(behind + secs(seconds)));
            }
            Some(ScriptedRetryAfter::Utc(seconds)) => {
                headers.insert(header::RETRY_AFTER, date(now + secs(seconds)));
            }
        }
        Err(refusal)
    }
}

fn secs(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// A date as HTTP writes it (RFC 9110 §5.6.7).
fn date(at: SystemTime) -> HeaderValue {
    HeaderValue::try_from(httpdate::fmt_http_date(at)).expect("a date is visible ASCII")
}
