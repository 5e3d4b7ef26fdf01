//! "Did you mean": the known name that resembles a mistyped one.

/// The most similar name, if any is similar enough, in words to append to an error.
pub(crate) fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let similarity = |name| strsim::jaro_winkler(typed, name);
    let scored = known.into_iter().map(|name| (similarity(name), name));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    match best {
        // The threshold of clap, for flags.
        Some((similarity, name)) if similarity > 0.7 => format!("; did you mean `{name}`?"),
        _ => String::new(),
    }
}
