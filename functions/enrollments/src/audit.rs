//! The audit: what must be true of seats and queues, checked on what is stored.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{
    courses::SectionId,
    enrollments::{EnrollmentId, EnrollmentState},
};
use runtime::{Document, Record};

use crate::{
    achievement::Achievement,
    batch::{Batch, Part},
    block::SeatBlock,
    certificate::Certificate,
    course::Course,
    enrollment::Enrollment,
    progress::Progress,
    seats::Seats,
};

/// Everything that is wrong with the stored seats, queues and keys.
///
/// `records` gives all documents of a collection. The platform must be at rest:
/// between two parts of a large promotion a seat may be free for a moment.
pub fn violations(records: &dyn Fn(&str) -> Vec<Record>) -> Vec<String> {
    let mut found = Vec::new();
    let enrollments: Vec<Enrollment> = read(records, &mut found);
    let seats: Vec<Seats> = read(records, &mut found);
    let blocks: Vec<SeatBlock> = read(records, &mut found);
    let _courses: Vec<Course> = read(records, &mut found);
    let mut sections: BTreeMap<_, Vec<&Enrollment>> = BTreeMap::new();
    for enrollment in &enrollments {
        sections.entry(&enrollment.section_id).or_default().push(enrollment);
        let id = Enrollment::id_of(&enrollment.section_id, &enrollment.user_id);
        if enrollment.id != id {
            found.push(format!(
                "enrollment {} isn't under the key of its section and user",
                enrollment.id
            ));
        }
    }
    for seats in &seats {
        let members = sections.remove(&seats.section_id).unwrap_or_default();
        let its: Vec<_> = blocks.iter().filter(|it| it.section_id == seats.section_id).collect();
        found.extend(violations_of_blocks(seats, &its));
        let mut gathered = seats.clone();
        gathered.gather(its);
        found.extend(violations_of(&gathered, &members));
    }
    for block in &blocks {
        if !seats.iter().any(|seats| seats.section_id == block.section_id) {
            found.push(format!("seat block {}: of no section", block.key()));
        }
    }
    for (section_id, members) in sections {
        found.push(format!("section {section_id}: {} enrollments and no seats", members.len()));
    }
    found.extend(of_completion(records, &enrollments));
    found.extend(of_batches(records));
    found
}

/// What is known of a section here.
pub struct Known {
    /// How many of its seats are taken or kept, wherever they are counted.
    pub held: u32,
    /// The revision at which courses told of it last.
    pub revision: u64,
}

/// What is known of each section. What can't be read isn't counted: the audit tells of it.
pub fn known(records: &dyn Fn(&str) -> Vec<Record>) -> BTreeMap<SectionId, Known> {
    let mut unread = Vec::new();
    let blocks: Vec<SeatBlock> = read(records, &mut unread);
    let seats: Vec<Seats> = read(records, &mut unread);
    let known = seats.into_iter().map(|mut seats| {
        let (id, revision) = (seats.section_id.clone(), seats.rules.revision);
        seats.gather(blocks.iter().filter(|it| it.section_id == id));
        (id, Known { held: seats.taken + seats.reserved(), revision })
    });
    known.collect()
}

/// What is wrong with what was done, certified and achieved.
fn of_completion(records: &dyn Fn(&str) -> Vec<Record>, enrollments: &[Enrollment]) -> Vec<String> {
    let mut found = Vec::new();
    let by_id: BTreeMap<_, _> = enrollments.iter().map(|it| (it.id.clone(), it)).collect();
    let completed =
        |id: &EnrollmentId| by_id.get(id).is_some_and(|it| it.state == EnrollmentState::Completed);
    for progress in read::<Progress>(records, &mut found) {
        if !by_id.contains_key(&progress.id) {
            found.push(format!("progress {} of an enrollment that isn't", progress.id));
        }
    }
    let mut counted = BTreeSet::new();
    for achievement in read::<Achievement>(records, &mut found) {
        for id in &achievement.enrollment_ids {
            let is_its = by_id.get(id).is_some_and(|it| {
                it.user_id == achievement.user_id && it.course_id == achievement.course_id
            });
            if !is_its || !completed(id) {
                found.push(format!(
                    "achievement {} counts {id}, which isn't one",
                    achievement.key()
                ));
            }
            counted.insert(id.clone());
        }
    }
    let mut revoked = BTreeSet::new();
    for certificate in read::<Certificate>(records, &mut found) {
        if !completed(&certificate.enrollment_id) {
            found.push(format!("certificate {} of nothing that was completed", certificate.id));
        }
        if certificate.id != Certificate::id_of(&certificate.enrollment_id) {
            found.push(format!("certificate {} isn't under its enrollment's key", certificate.id));
        }
        if certificate.revoked.is_some() {
            revoked.insert(certificate.enrollment_id);
        }
    }
    for id in enrollments.iter().map(|it| &it.id).filter(|id| completed(id)) {
        if counted.contains(id) == revoked.contains(id) {
            let counts = if counted.contains(id) { "and counts" } else { "and counts no more" };
            let is = if revoked.contains(id) { "is revoked" } else { "isn't revoked" };
            found.push(format!("enrollment {id} was completed, {is} {counts}"));
        }
    }
    found
}

/// What is wrong with batches: each finished row has its outcome, and no other.
fn of_batches(records: &dyn Fn(&str) -> Vec<Record>) -> Vec<String> {
    let mut found = Vec::new();
    let mut worked: BTreeMap<_, usize> = BTreeMap::new();
    for part in read::<Part>(records, &mut found) {
        *worked.entry(part.batch_id.clone()).or_default() += part.rows.len();
        if !part.rows.is_empty() && part.rows.len() != part.user_ids.len() {
            found.push(format!("batch part {} has rows without an outcome", part.key()));
        }
    }
    for batch in read::<Batch>(records, &mut found) {
        let (rows, done) = (worked.remove(&batch.id).unwrap_or_default(), batch.view().rows_done);
        if rows != done as usize {
            found.push(format!("batch {}: {rows} rows worked on, {done} counted", batch.id));
        }
    }
    found
}

fn read<D: Document>(records: &dyn Fn(&str) -> Vec<Record>, found: &mut Vec<String>) -> Vec<D> {
    let mut documents = Vec::new();
    for record in records(D::COLLECTION) {
        match serde_json::from_str::<D>(&record.body) {
            Ok(document) if document.key() == record.id => documents.push(document),
            Ok(_) => found.push(format!("{}/{} is under a foreign key", D::COLLECTION, record.id)),
            Err(error) => {
                found.push(format!("{}/{} can't be read: {error}", D::COLLECTION, record.id));
            }
        }
    }
    documents
}

fn violations_of_blocks(seats: &Seats, blocks: &[&SeatBlock]) -> Vec<String> {
    let mut found = Vec::new();
    let id = &seats.section_id;
    if blocks.len() != seats.block_ids().len() || !blocks.iter().all(|block| seats.owns(block)) {
        found.push(format!("section {id}: its seat blocks aren't those of its turn"));
    }
    if let Some(block) = blocks.iter().find(|block| block.taken > block.most) {
        found.push(format!("seat block {}: {} of {} taken", block.key(), block.taken, block.most));
    }
    let most: u32 = blocks.iter().map(|block| block.most).sum();
    if !blocks.is_empty() && seats.rules.capacity.is_some_and(|capacity| capacity != most) {
        let capacity = seats.rules.capacity;
        found.push(format!("section {id}: blocks for {most} seats, and it has {capacity:?}"));
    }
    if !blocks.is_empty() && seats.taken + seats.waiting + seats.reserved() > 0 {
        found.push(format!("section {id}: its seats are counted in two places"));
    }
    found
}

fn violations_of(seats: &Seats, members: &[&Enrollment]) -> Vec<String> {
    let mut found = Vec::new();
    let id = &seats.section_id;
    let count = |state| members.iter().filter(|member| member.state == state).count();
    let confirmed = members.iter().filter(|member| member.has_seat()).count();
    let waiting = count(EnrollmentState::Waitlisted);
    if confirmed != seats.taken as usize {
        found.push(format!("section {id}: {confirmed} confirmed, {} seats counted", seats.taken));
    }
    if waiting != seats.waiting as usize {
        found.push(format!("section {id}: {waiting} waitlisted, {} counted", seats.waiting));
    }
    let held = seats.taken + seats.reserved();
    if seats.rules.capacity.is_some_and(|capacity| held > capacity) {
        found.push(format!("section {id}: oversold, {held} of {:?}", seats.rules.capacity));
    }
    let offered = count(EnrollmentState::Offered);
    if offered < seats.reserved() as usize {
        let kept = seats.reserved();
        found.push(format!("section {id}: {offered} offered seats, {kept} kept"));
    }
    let offers: BTreeMap<_, u32> =
        members.iter().filter_map(|it| it.offer_expires_at).fold(BTreeMap::new(), |mut all, it| {
            *all.entry(it).or_default() += 1;
            all
        });
    if let Some((until, kept)) =
        seats.kept().find(|(until, kept)| offers.get(until).copied() != Some(*kept))
    {
        found.push(format!("section {id}: {kept} seats are kept until {until}, and not offered"));
    }
    if members
        .iter()
        .any(|it| (it.state == EnrollmentState::Offered) != it.offer_expires_at.is_some())
    {
        found.push(format!("section {id}: an offer without a deadline, or the other way round"));
    }
    if let Some(revision) = seats.promised_at()
        && revision < seats.rules.revision
    {
        let is_at = seats.rules.revision;
        found.push(format!("section {id}: promised for revision {revision}, and it's at {is_at}"));
    }
    if seats.promotable() > 0 {
        found.push(format!("section {id}: {} wait beside a free seat", seats.promotable()));
    }
    let stays = |member: &&Enrollment| member.state == EnrollmentState::Completed;
    if seats.rules.cancelled && members.iter().any(|it| it.is_active() && !stays(it)) {
        found.push(format!("section {id}: cancelled, and not everyone was taken off"));
    }
    let mut numbers: Vec<_> = members.iter().map(|member| member.number).collect();
    numbers.sort_unstable();
    if numbers.windows(2).any(|pair| pair[0] == pair[1]) {
        found.push(format!("section {id}: two joined with the same number"));
    }
    // Whoever waits joined after everyone who was ever promoted before them: of
    // those who waited, the promoted have the lower numbers.
    let first_waiting = members
        .iter()
        .filter(|member| member.state == EnrollmentState::Waitlisted)
        .map(|member| member.number)
        .min();
    let overtook = members.iter().find(|member| {
        member.state == EnrollmentState::Confirmed
            && member.confirmed_at > Some(member.enrolled_at)
            && member.note.is_none()
            && first_waiting.is_some_and(|first| member.number > first)
    });
    if let Some(member) = overtook {
        found.push(format!("section {id}: {} was promoted before somebody ahead", member.id));
    }
    found
}

#[cfg(test)]
mod tests {
    use contracts::{Timestamp, courses::SectionFacts};
    use runtime::Version;

    use super::*;
    use crate::{seats::Place, tests::section as facts};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn record<D: Document>(document: &D) -> Record {
        Record {
            id: document.key(),
            body: serde_json::to_string(document).unwrap(),
            version: Version("1".into()),
        }
    }

    fn member(seats: &mut Seats, user: &str) -> Enrollment {
        let mut enrollment = Enrollment::blank(seats, &user.into(), NOW);
        let place = seats.join(NOW).unwrap();
        enrollment.join(Some(place), seats.take_number(), NOW);
        enrollment
    }

    fn audit(seats: &Seats, members: &[Enrollment]) -> Vec<String> {
        violations(&|collection| match collection {
            "seats" => vec![record(seats)],
            "enrollments" => members.iter().map(record).collect(),
            _ => Vec::new(),
        })
    }

    #[test]
    fn what_is_right_passes_and_each_wrong_is_told() {
        let mut seats = Seats::of(&SectionFacts { waitlist_capacity: None, ..facts(Some(1)) });
        let (ada, bob) = (member(&mut seats, "ada"), member(&mut seats, "bob"));
        assert_eq!(audit(&seats, &[ada.clone(), bob.clone()]), Vec::<String>::new());

        let mut oversold = bob.clone();
        oversold.take(Place::Seat, NOW);
        let told = audit(&seats, &[ada.clone(), oversold.clone()]).join("\n");
        assert!(told.contains("2 confirmed, 1 seats counted"), "{told}");
        seats.taken = 2;
        seats.waiting = 0;
        assert!(audit(&seats, &[ada.clone(), oversold]).join("\n").contains("oversold"));
        seats.taken = 0;
        seats.waiting = 1;
        assert!(
            audit(&seats, std::slice::from_ref(&bob)).join("\n").contains("beside a free seat")
        );

        let mut offering = Seats::of(&SectionFacts { offer_hours: Some(1), ..facts(Some(1)) });
        let (mut cid, mut dan) = (member(&mut offering, "cid"), member(&mut offering, "dan"));
        cid.leave(&mut offering, NOW);
        dan.take(offering.promote(NOW), NOW);
        assert_eq!(audit(&offering, &[cid.clone(), dan.clone()]), Vec::<String>::new());
        dan.take(Place::Queue { position: 1 }, NOW);
        let told = audit(&offering, &[cid, dan]).join("\n");
        assert!(told.contains("0 offered seats, 1 kept"), "{told}");

        let mut promised = Seats::of(&facts(Some(2)));
        promised.limit(1, promised.rules.revision, NOW).unwrap();
        assert_eq!(audit(&promised, &[]), Vec::<String>::new());
        promised.rules.revision += 1;
        let told = audit(&promised, &[]).join("\n");
        assert!(told.contains("promised for revision"), "{told}");

        let forged = Enrollment { id: "x".into(), ..ada };
        assert!(audit(&seats, &[forged, bob]).join("\n").contains("key of its section"));
    }

    #[test]
    fn seats_in_blocks_are_counted_and_what_is_wrong_with_them_is_told() {
        let mut seats = Seats::of(&facts(Some(4)));
        let ada = member(&mut seats, "ada");
        let blocks = seats.spread(2);
        let audit = |seats: &Seats, blocks: &[SeatBlock]| {
            let found = violations(&|collection| match collection {
                "seats" => vec![record(seats)],
                "seat_blocks" => blocks.iter().map(record).collect(),
                "enrollments" => vec![record(&ada)],
                _ => Vec::new(),
            });
            found.join("\n")
        };
        assert_eq!(audit(&seats, &blocks), "");

        assert!(audit(&seats, &blocks[..1]).contains("aren't those of its turn"));
        let mut wrong = blocks.clone();
        wrong[0].taken = 3;
        let told = audit(&seats, &wrong);
        assert!(told.contains("3 of 2 taken") && told.contains("1 confirmed, 3 seats"), "{told}");
        wrong = blocks.clone();
        wrong[1].most = 3;
        assert!(audit(&seats, &wrong).contains("blocks for 5 seats"));
        wrong = blocks.clone();
        wrong[1].turn = 7;
        assert!(audit(&seats, &wrong).contains("aren't those of its turn"));
        wrong[1].section_id = "s9".into();
        assert!(audit(&seats, &wrong).contains("of no section"));
        seats.taken = 1;
        assert!(audit(&seats, &blocks).contains("in two places"));
    }

    /// A section of one seat, which somebody has, and a queue of two; then what went wrong.
    fn wrong(spoil: impl Fn(&mut Seats, &mut [Enrollment])) -> String {
        let mut seats = Seats::of(&SectionFacts { offer_hours: Some(1), ..facts(Some(1)) });
        let mut members = ["ada", "bob", "cid"].map(|user| member(&mut seats, user));
        spoil(&mut seats, &mut members);
        audit(&seats, &members).join("\n")
    }

    #[test]
    fn what_is_wrong_with_a_queue_or_an_offer_is_told() {
        assert_eq!(wrong(|_, _| {}), "");
        let told = wrong(|_, members| members[2].number = members[1].number);
        assert!(told.contains("two joined with the same number"), "{told}");

        let told = wrong(|_, members| {
            members[0].state = EnrollmentState::Waitlisted;
            members[2].take(Place::Seat, NOW.plus_seconds(1));
        });
        assert!(told.contains("was promoted before somebody ahead"), "{told}");
        let told = wrong(|seats, _| seats.rules.cancelled = true);
        assert!(told.contains("not everyone was taken off"), "{told}");

        let offer = |seats: &mut Seats, members: &mut [Enrollment]| {
            members[0].leave(seats, NOW);
            members[1].take(seats.promote(NOW), NOW);
        };
        assert_eq!(wrong(offer), "");
        let told = wrong(|seats, members| {
            offer(seats, members);
            members[1].offer_expires_at = Some(NOW);
        });
        assert!(told.contains("1 seats are kept until") && told.contains("not offered"), "{told}");
        let told = wrong(|seats, members| {
            offer(seats, members);
            members[1].offer_expires_at = None;
        });
        assert!(told.contains("an offer without a deadline"), "{told}");

        let mut seats = Seats::of(&facts(Some(1)));
        let ada = member(&mut seats, "ada");
        let told = violations(&|collection| match collection {
            "enrollments" => vec![record(&ada)],
            _ => Vec::new(),
        });
        assert_eq!(told, ["section s1: 1 enrollments and no seats"]);
    }

    #[test]
    fn what_was_completed_counts_once_and_while_its_certificate_is_good() {
        let mut seats = Seats::of(&facts(Some(2)));
        let (mut ada, bob) = (member(&mut seats, "ada"), member(&mut seats, "bob"));
        ada.complete(NOW);
        let mut achieved = Achievement::of(&ada.user_id, &ada.course_id, NOW);
        achieved.count(&ada.id);
        let audit = |achievements: &[Achievement], more: &[(&str, Record)]| {
            let found = violations(&|collection| match collection {
                "seats" => vec![record(&seats)],
                "enrollments" => vec![record(&ada), record(&bob)],
                "achievements" => achievements.iter().map(record).collect(),
                _ => more.iter().filter(|it| it.0 == collection).map(|it| it.1.clone()).collect(),
            });
            found.join("\n")
        };
        let right = std::slice::from_ref(&achieved);
        assert_eq!(audit(right, &[]), "");
        let told = audit(&[], &[]);
        assert!(told.contains("was completed, isn't revoked and counts no more"), "{told}");

        let mut both = achieved.clone();
        both.count(&bob.id);
        let told = audit(&[both], &[]);
        assert!(told.contains(&format!("counts {}, which isn't one", bob.id)), "{told}");

        let certificate = |enrollment: &Enrollment, revoked: bool| {
            let mut certificate = Certificate::of(enrollment, NOW, "Rust", "Ada", NOW);
            if revoked {
                assert!(certificate.revoke("It was a mistake.", NOW));
            }
            ("certificates", record(&certificate))
        };
        assert_eq!(audit(right, &[certificate(&ada, false)]), "");
        let told = audit(right, &[certificate(&ada, true)]);
        assert!(told.contains("was completed, is revoked and counts"), "{told}");
        assert_eq!(audit(&[], &[certificate(&ada, true)]), "");
        let told = audit(right, &[certificate(&bob, false)]);
        assert!(told.contains("of nothing that was completed"), "{told}");

        let done = [].into();
        let id = "elsewhere".into();
        let progress = Progress { id, user_id: "eve".into(), done, updated_at: NOW };
        let told = audit(right, &[("progress", record(&progress))]);
        assert!(told.contains("of an enrollment that isn't"), "{told}");
    }

    #[test]
    fn a_batch_whose_rows_have_other_outcomes_than_it_counts_is_told() {
        let rows = [("s1".into(), "ada".into()), ("s1".into(), "bob".into())];
        let (batch, parts) = Batch::of("b1".into(), &rows, false, NOW);
        let outcome = crate::batch::RowOutcome {
            outcome: crate::batch::RowState::Confirmed,
            enrollment_id: None,
            reasons: Vec::new(),
        };
        let audit = |count: usize| {
            let mut part = parts[0].clone();
            part.rows = vec![outcome.clone(); count];
            let found = violations(&|collection| match collection {
                "batches" => vec![record(&batch)],
                "batch_parts" => vec![record(&part)],
                _ => Vec::new(),
            });
            found.join("\n")
        };
        assert_eq!(audit(0), "");
        assert!(audit(1).contains("has rows without an outcome"), "{}", audit(1));
        assert!(audit(2).contains("2 rows worked on, 0 counted"), "{}", audit(2));
    }
}
