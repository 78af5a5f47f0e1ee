//! Traces of somebody: where in the data folder there's anything of them, as the
//! platform reads its documents, and as a thief of the disk would.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use embedded::{Inbox, LocalBus, store::Database};

/// Words that stand nowhere unless somebody has put them there.
pub type Words = BTreeSet<String>;

/// The documents that have one of these words, as `domain/collection`, whatever
/// the case of its letters.
pub fn documents(folder: &Path, words: &Words) -> BTreeSet<String> {
    let database = Database::open_read_only(folder).expect("a folder with documents");
    let of_domains = gateway::domains().into_iter().map(|it| (it.name, it.collections));
    let own = [("local", Inbox::COLLECTIONS.to_vec()), ("bus", LocalBus::COLLECTIONS.to_vec())];
    let mut found = BTreeSet::new();
    for (domain, collections) in of_domains.chain(own) {
        let store = database.domain(domain, &collections).expect("a domain's documents");
        for collection in &collections {
            for record in store.scan(collection.name).expect("a collection") {
                let record = record.expect("a document");
                let text = format!("{} {}", record.id, record.body).to_lowercase();
                if words.iter().any(|word| text.contains(&word.to_lowercase())) {
                    found.insert(format!("{domain}/{}", collection.name));
                }
            }
        }
    }
    found
}

/// The words of these that stand anywhere in the files of a folder: used, unused
/// or left over; as they are, in small letters, or in Base64.
pub fn bytes(folder: &Path, words: &Words) -> BTreeSet<String> {
    let files: Vec<_> = files(folder).into_iter().map(|it| fs::read(it).expect("a file")).collect();
    let is_in = |spelling: &Vec<u8>| {
        let finder = Finder::new(spelling);
        files.iter().any(|file| finder.is_in(file))
    };
    words.iter().filter(|word| spellings(word).iter().any(is_in)).cloned().collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|it| it.expect("an entry").path());
    entries.flat_map(|it| if it.is_dir() { files(&it) } else { vec![it] }).collect()
}

/// The ways in which a word may stand somewhere.
fn spellings(word: &str) -> BTreeSet<Vec<u8>> {
    let plain = [word.to_owned(), word.to_lowercase(), word.replace('@', "%40")];
    let mut all: BTreeSet<_> = plain.into_iter().map(String::into_bytes).collect();
    // In Base64 it depends on how many bytes stand before it; the letters at both
    // ends are of its neighbors, too.
    for before in 0..3 {
        let padded = [vec![0; before], word.as_bytes().to_vec()].concat();
        for engine in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&padded).into_bytes();
            let from = if before == 0 { 0 } else { before + 1 };
            let until = padded.len() / 3 * 4;
            all.insert(encoded[from..until].to_vec());
        }
    }
    all
}

/// Finds bytes in many bytes (Horspool's way).
struct Finder<'w> {
    wanted: &'w [u8],
    skips: [usize; 256],
}

impl<'w> Finder<'w> {
    fn new(wanted: &'w [u8]) -> Self {
        let mut skips = [wanted.len(); 256];
        for (place, byte) in wanted.iter().enumerate().take(wanted.len() - 1) {
            skips[usize::from(*byte)] = wanted.len() - 1 - place;
        }
        Self { wanted, skips }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        let mut end = self.wanted.len();
        while let Some(window) = bytes.get(end.wrapping_sub(self.wanted.len())..end) {
            if window == self.wanted {
                return true;
            }
            end += self.skips[usize::from(window[window.len() - 1])];
        }
        false
    }
}

#[test]
fn a_word_is_found_however_it_is_spelled() {
    let folder = crate::support::server::new_folder();
    fs::create_dir_all(folder.join("deep")).unwrap();
    let words = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Words>();
    let hidden =
        words(&["plain@bird.example", "Small Letters", "encoded-word", "escaped@bird.example"]);
    let mut file = b"\0\xffplain@bird.example\0small letters\xfe".to_vec();
    file.extend(BASE64_URL_SAFE_NO_PAD.encode("x encoded-word y").into_bytes());
    file.extend(b"to=escaped%40bird.example");
    fs::write(folder.join("deep/file"), file).unwrap();
    let absent = words(&["another@bird.example", "absent"]);
    assert_eq!(bytes(&folder, &hidden.union(&absent).cloned().collect()), hidden);
    fs::remove_dir_all(folder).unwrap();
}
