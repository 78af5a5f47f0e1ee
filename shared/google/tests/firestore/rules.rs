//! Every rule that stores have to keep.

use runtime::conformance::{self as must, COLLECTIONS, Given};

use crate::emulator::{emulator, new_project};

macro_rules! on_the_emulator {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $rule() {
            let Some(emulator) = emulator() else { return };
            let project = new_project(emulator);
            let domain = |name| project.domain(name, COLLECTIONS).unwrap();
            must::$rule(&Given { store: domain("first"), neighbor: domain("second") }).await;
        }
    )+};
}

runtime::store_rules!(on_the_emulator);
