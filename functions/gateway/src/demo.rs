//! `aula demo`: fills an empty platform with a believable catalog, through the
//! functions that everybody uses.
//!
//! What it's filled with is data ([`catalog`]); whoever appears in it registers,
//! teaches or enrolls by the API ([`visitor`]). Nothing is written around it.

mod catalog;
mod fill;
mod people;
mod report;
mod scenes;
mod schedule;
pub(crate) mod visitor;

use anyhow::{Context as _, ensure};

use crate::command::Options;
use catalog::Catalog;
use report::Report;

/// Fills the platform in the folder, and tells who can sign in and what there's to see.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(
        !options.in_memory,
        "a demonstration in memory would be gone at once; leave --in-memory out"
    );
    let catalog = Catalog::read()?;
    let options = Options {
        admin_email: Some(catalog.people.admin.email()),
        // The people of the demonstration have no mailbox outside of the platform.
        smtp_url: None,
        ..options.clone()
    };
    crate::serve::runtime()?.block_on(async {
        let platform = crate::serve::open(&options, options.listen)
            .context("the platform can't be filled now")?;
        eprintln!("Filling {}, which takes some seconds.\n", options.data.display());
        let public_url = platform.front(None).ports.settings.public_url.clone();
        let filled = fill::fill(&catalog, &platform).await;
        platform.shutdown().await?;
        let (filled, data) = (filled?, &options.data);
        print!("{}", Report { catalog: &catalog, filled: &filled, public_url: &public_url, data });
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use embedded::Platform;
    use runtime::Settings;

    use super::*;

    fn platform(catalog: &Catalog) -> Platform {
        let settings = Settings {
            public_url: "http://localhost:8080".to_owned(),
            admin_email: Some(catalog.people.admin.email()),
            ..Settings::default()
        };
        let options = embedded::Options::new(settings);
        Platform::start(options, crate::domains()).expect("a platform in memory")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_demonstration_fills_a_platform_once_and_leaves_people_waiting() {
        let catalog = Catalog::read().unwrap();
        let platform = platform(&catalog);
        let filled = fill::fill(&catalog, &platform).await.unwrap();

        assert_eq!((filled.courses, filled.people), (30, 30));
        let waiting = |it: &&fill::Opened| !it.waitlisted.is_empty();
        let full: Vec<_> = filled.sections.iter().filter(waiting).collect();
        assert_eq!(full.len(), 1);
        assert_eq!((full[0].confirmed.len(), full[0].waitlisted.len()), (8, 4));
        let pending: usize = filled.sections.iter().map(|it| it.pending.len()).sum();
        assert_eq!(pending, 1);

        let front = platform.front(None);
        let anyone = visitor::Visitor::new(runtime::router(platform.host(), &front));
        let shown = anyone.get(&full[0].path).await.unwrap();
        assert_eq!(shown["seats_taken"], 8);
        assert_eq!(shown["seats_free"], 0);
        assert_eq!(shown["waitlist_length"], 4);
        let courses = anyone.get("/v1/courses?page_size=100").await.unwrap();
        assert_eq!(courses["items"].as_array().map(Vec::len), Some(30));
        assert_eq!(platform.bus().waiting().await.unwrap().dead_letters, 0);

        // Whoever waits first is told so when they sign in.
        let first = &full[0].waitlisted[0];
        let first = anyone.sign_in(&first.email(), people::STUDENT_PASSWORD).await.unwrap();
        let queue = first.get("/v1/enrollments?user_id=me&state=waitlisted").await.unwrap();
        assert_eq!(queue["items"][0]["waitlist_position"], 1);

        let scenes: Vec<_> = filled.scenes.sights.iter().map(|it| it.what).collect();
        let expected = [
            "a certificate",
            "the same on paper",
            "a prerequisite",
            "an offer",
            "a batch",
            "an invitation",
            "a calendar",
            "mail in English",
            "mail in Spanish",
        ];
        assert_eq!(scenes, expected);
        let place = |what: &str| {
            let found = filled.scenes.sights.iter().find(|it| it.what == what);
            found.map(|it| it.place.clone()).expect("a sight")
        };
        let asks = anyone.get(&place("a prerequisite")).await.unwrap();
        assert_eq!(asks["prerequisites"].as_array().map(Vec::len), Some(1), "{asks}");
        let invited = anyone.get(&place("an invitation")).await.unwrap();
        assert_eq!(invited["instructors"].as_array().map(Vec::len), Some(2), "{invited}");
        let offered = anyone.get(&place("an offer")).await.unwrap();
        assert_eq!((&offered["offer_hours"], &offered["seats_free"]), (&48.into(), &0.into()));

        let (public_url, data) = ("http://localhost:8080", "aula-data".as_ref());
        let told = Report { catalog: &catalog, filled: &filled, public_url, data }.to_string();
        assert!(told.contains(&format!("{public_url}{}", full[0].path)), "{told}");
        let everybody = catalog.people.students.iter().chain(&catalog.people.instructors);
        assert!(everybody.chain([&catalog.people.admin]).all(|it| told.contains(&it.address)));

        let again = fill::fill(&catalog, &platform).await.unwrap_err();
        assert!(again.to_string().contains("empty"), "{again:#}");
        platform.shutdown().await.unwrap();
    }
}
