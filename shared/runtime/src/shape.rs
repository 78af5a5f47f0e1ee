//! What a type looks like in JSON, for the documents of the API.

use schemars::JsonSchema;
#[cfg(feature = "openapi")]
use schemars::{Schema, SchemaGenerator};

/// What a type looks like in JSON. Only who writes the API's documents wants to
/// know: a container is built without `openapi`, and has nothing of it in it.
#[derive(Clone, Copy)]
pub struct Shape(#[cfg(feature = "openapi")] fn(&mut SchemaGenerator) -> Schema);

impl Shape {
    /// What a type looks like.
    #[cfg_attr(
        not(feature = "openapi"),
        expect(
            clippy::extra_unused_type_parameters,
            reason = "who asks doesn't know of the feature"
        )
    )]
    pub(crate) fn of<T: JsonSchema>() -> Self {
        Self(
            #[cfg(feature = "openapi")]
            SchemaGenerator::subschema_for::<T>,
        )
    }

    /// Its schema, which may name others that the generator then knows.
    #[cfg(feature = "openapi")]
    pub(crate) fn schema(self, generator: &mut SchemaGenerator) -> Schema {
        (self.0)(generator)
    }
}
