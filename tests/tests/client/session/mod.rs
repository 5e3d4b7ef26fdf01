//! The session: saved, offered, resumed, forgotten.

mod resume;
mod saved;
