//! The ids of a thing's parts, which stay with them when the thing is changed.

use std::collections::HashSet;

use runtime::prelude::*;

/// The ids that the parts of a thing had; each may stay with one part.
pub struct Ids<'a> {
    known: HashSet<&'a str>,
    kept: HashSet<String>,
}

impl<'a> Ids<'a> {
    /// Those ids.
    pub fn of(ids: impl Iterator<Item = &'a str>) -> Self {
        Self { known: ids.collect(), kept: HashSet::new() }
    }

    /// The id that a part was sent with, which a part must have had, and no other keeps.
    pub fn keep(&mut self, id: Option<String>, part: &str, faults: &mut Faults) -> Option<String> {
        let id = id?;
        let field = format!("{part}.id");
        faults.unless(
            self.known.contains(id.as_str()),
            &field,
            "unknown-id",
            "There is nothing with this id here; what is new has none.",
            "No hay nada con este id aquí; lo nuevo no lleva id.",
        );
        faults.unless(
            self.kept.insert(id.clone()),
            &field,
            "given-twice",
            "This id is given twice.",
            "Este id se da dos veces.",
        );
        Some(id)
    }
}
