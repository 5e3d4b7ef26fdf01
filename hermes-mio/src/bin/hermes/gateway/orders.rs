//! Orders to a gateway, from standard input.

use std::io;
use std::sync::Weak;
use std::thread;

use hermes_mio::gateway::{Fault, Gateway, Target};

use crate::lines::Lines;
use crate::output;
use crate::words::say;

/// The longest order, in bytes.
const MAX_BYTES: usize = 32 << 20;

/// Takes orders, on a thread of its own, until the end of input.
pub(super) fn take(gateway: Weak<Gateway>) -> io::Result<()> {
    thread::Builder::new().name("orders".into()).spawn(move || {
        if let Err(error) = take_orders(&gateway) {
            say!("hermes: standard input failed, no more orders are taken: {error}");
        }
    })?;
    Ok(())
}

fn take_orders(gateway: &Weak<Gateway>) -> io::Result<()> {
    let mut lines = Lines::new(io::stdin().lock(), MAX_BYTES);
    while let Some(line) = lines.next()? {
        let Some(gateway) = gateway.upgrade() else { return Ok(()) };
        let done = match &line.text {
            Ok(order) => obey(&gateway, order.trim()),
            Err(problem) => Err(problem.to_string()),
        };
        if let Err(problem) = done {
            say!("hermes: order {} was not carried out: {problem}", line.number);
        }
    }
    Ok(())
}

fn obey(gateway: &Gateway, order: &str) -> Result<(), String> {
    match order {
        "" => {}
        "clear" => gateway.clear_faults(),
        "pause" => gateway.pause(),
        "listen" => gateway.listen().map_err(|error| format!("can't listen: {error}"))?,
        "metrics" => {
            let metrics = serde_json::to_string(&gateway.snapshot());
            let metrics = metrics.map_err(|error| error.to_string())?;
            let line = format!("{{\"gateway\":\"metrics\",\"metrics\":{metrics}}}");
            output::line(&line).map_err(|error| error.to_string())?;
        }
        _ => match order.split_once(' ') {
            Some(("say", message)) => {
                let receivers = gateway.broadcast(message);
                say!("hermes: clients that get it: {receivers}");
            }
            _ => {
                let (target, fault) = parse_fault(order)?;
                let affected = gateway.inject(target, fault);
                say!("hermes: live connections affected: {affected}");
            }
        },
    }
    Ok(())
}

/// `TARGET FAULT`
pub(super) fn parse_fault(order: &str) -> Result<(Target, Fault), String> {
    let (target, fault) =
        order.trim().split_once(' ').ok_or("write TARGET FAULT, as in `live reset`")?;
    let target = target.parse().map_err(|error| format!("{error}"))?;
    let fault = fault.trim().parse().map_err(|error| format!("{error}"))?;
    Ok((target, fault))
}
