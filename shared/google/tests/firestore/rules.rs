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
            let (store, neighbor) = (domain("first"), domain("second"));
            // The emulator alone, one in hundreds: see docs/truth.md.
            must::$rule(&Given { store, neighbor, torn_reads: 3 }).await;
        }
    )+};
}

runtime::store_rules!(on_the_emulator);
