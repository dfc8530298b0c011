//! The lower as this mount asks it: an agent process behind the identity gate.

use std::io;
use std::sync::Arc;

use super::gate::Gate;
use super::place::Place;
use crate::lower::{AgentClient, AgentConfig};
use crate::meta::Meta;
use crate::sys;

/// Setting: by what name our transactions are known on the lower.
const CLIENT: &str = "client";

/// The client of a mount's agents; the first one is started by the first question.
pub(super) fn client(place: &Place, meta: &Meta, gate: &Arc<Gate>) -> io::Result<Arc<AgentClient>> {
    let gate = gate.clone();
    let name = client_name(meta)?;
    let mut config = AgentConfig::new(sys::own_program()?, &place.lower, &name);
    config.covered = place.covers();
    config.log = Some(sys::open_log(&place.state)?);
    config.accept = Arc::new(move |probe| gate.accepts(probe));
    Ok(Arc::new(AgentClient::new(config)?))
}

/// A name no other client of the share has, made once per state directory.
fn client_name(meta: &Meta) -> io::Result<String> {
    let stored = meta
        .read(|rows| rows.setting(CLIENT))
        .map_err(io::Error::other)?;
    if let Some(name) = stored {
        return Ok(name);
    }
    let random = sys::random()?;
    let name: String = random[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    meta.write(|txn| txn.set_setting(CLIENT, Some(&name)))
        .map_err(io::Error::other)?;
    Ok(name)
}
