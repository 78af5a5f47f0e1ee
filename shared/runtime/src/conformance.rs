//! What any store must do.
//!
//! A rule is a function, named as a sentence and given two empty domains. Each
//! adapter's tests run every one of them: [`store_rules!`](crate::store_rules)
//! hands over their names, so that none is forgotten. What runs on a laptop
//! tells the truth about the cloud because both keep these.

pub mod bus;
mod commits;
mod documents;
pub mod files;
mod limits;
mod pages;
mod queries;
mod races;
mod times;

use std::sync::Arc;

use serde_json::{Value, json};

pub use self::{commits::*, documents::*, limits::*, pages::*, queries::*, races::*, times::*};
use crate::{
    Collection, Conflict, Cursor, Direction, Index, Key, Query, Record, Store, Version, Write,
};

/// Names every rule to a macro, which makes a test of each.
///
/// ```
/// macro_rules! tests {
///     ($($rule:ident),+ $(,)?) => { const RULES: &[&str] = &[$(stringify!($rule)),+]; };
/// }
/// runtime::store_rules!(tests);
/// assert!(RULES.contains(&"a_document_is_created_once"));
/// ```
#[macro_export]
macro_rules! store_rules {
    ($run:ident) => {
        $run! {
            // Documents, one by one.
            what_is_created_is_read_back,
            what_was_never_written_is_absent,
            a_document_is_created_once,
            a_document_is_replaced_at_the_version_that_was_read,
            of_two_who_read_the_same_version_one_writes,
            what_is_absent_cannot_be_replaced,
            a_document_is_deleted_at_the_version_that_was_read,
            an_old_version_deletes_nothing,
            what_is_absent_cannot_be_deleted,
            what_was_deleted_can_be_created_again,
            a_version_comes_never_again,
            every_way_of_reading_gives_the_same_version,
            texts_survive_exactly,
            numbers_survive_exactly,
            empty_and_nested_values_survive_exactly,
            members_may_have_any_name_and_any_order,
            a_document_may_be_nine_hundred_kilobytes_long,
            a_document_over_a_mebibyte_is_refused,
            what_is_no_json_object_is_refused,
            an_id_may_be_any_text,
            ids_differ_by_every_byte,
            an_id_that_no_document_can_have_is_refused,
            an_id_that_no_document_can_have_is_absent,
            a_replacement_by_the_same_is_another_version,
            of_two_who_change_nothing_one_writes,
            arrays_in_arrays_survive_exactly,
            of_several_each_is_read_at_its_place,
            // Commits.
            an_empty_commit_changes_nothing,
            what_is_noted_is_read_at_once,
            what_is_noted_cannot_be_created_again,
            what_is_noted_is_written_before_anybody_adds_it_again,
            a_note_changes_nothing_that_is_there,
            a_commit_creates_replaces_and_deletes_at_once,
            a_commit_is_all_or_nothing,
            a_commit_that_fails_leaves_the_indexes_alone,
            a_commit_that_failed_may_be_tried_again,
            a_conflict_names_the_document,
            a_conflict_names_the_collection,
            of_several_conflicts_one_is_named,
            a_document_written_twice_in_a_commit_is_refused,
            a_document_written_as_it_was_at_two_moments_is_a_conflict,
            one_id_in_two_collections_is_two_documents,
            domains_share_nothing,
            what_was_committed_is_read_at_once,
            a_commit_takes_four_hundred_and_eighty_writes,
            a_commit_takes_no_more_than_five_hundred_writes,
            an_unknown_collection_is_refused,
            nothing_is_written_beside_what_is_refused,
            a_time_of_expiry_is_a_time,
            // Queries.
            texts_sort_byte_by_byte,
            numbers_sort_as_numbers,
            false_sorts_before_true,
            a_descending_query_is_an_ascending_one_reversed,
            what_sorts_equal_is_sorted_by_id,
            a_query_finds_whole_documents,
            a_query_finds_only_its_own_collection,
            a_query_asks_a_field_to_be_equal,
            a_query_asks_several_fields_to_be_equal,
            a_value_equals_only_its_own_type,
            a_query_asks_an_array_to_contain_a_text,
            an_array_that_contains_a_text_twice_is_found_once,
            a_query_asks_an_array_and_fields_together,
            what_lacks_the_field_that_sorts_is_not_found,
            what_lacks_a_field_that_is_asked_for_is_not_found,
            null_is_as_if_it_were_not_there,
            an_empty_array_contains_nothing,
            a_field_within_another_is_not_indexed,
            what_an_index_cannot_hold_is_refused,
            a_replaced_document_moves_between_the_lists,
            an_array_loses_and_gains_texts,
            a_deleted_document_is_in_no_list,
            a_query_is_bounded_from_below,
            a_query_is_bounded_from_above,
            a_query_is_bounded_from_both_sides,
            bounds_hold_beside_equal_fields_and_arrays,
            a_query_finds_at_most_its_limit,
            a_query_that_finds_all_has_no_next_page,
            a_count_knows_no_limit,
            a_count_keeps_the_conditions,
            an_undeclared_order_is_refused,
            an_undeclared_direction_is_refused,
            an_undeclared_condition_is_refused,
            a_query_cannot_ask_for_what_no_index_holds,
            // Pages.
            pages_give_each_document_once_in_order,
            pages_run_backwards_too,
            what_sorts_equal_is_paged_by_id,
            pages_keep_the_conditions,
            pages_keep_the_bounds,
            pages_go_by_texts_and_booleans_too,
            the_place_of_a_deleted_document_is_still_a_place,
            what_is_created_ahead_of_a_page_is_found,
            a_place_may_be_where_no_document_ever_was,
            a_place_outside_the_bounds_loosens_nothing,
            // Races.
            fifty_racers_count_to_fifty,
            of_many_who_create_a_document_one_does,
            of_many_who_delete_a_document_one_does,
            what_is_moved_between_two_documents_is_never_lost,
            a_query_sees_all_of_a_commit_or_nothing,
            who_reads_several_sees_all_of_a_commit_or_nothing,
            a_commit_whose_caller_has_gone_is_all_or_nothing,
            every_change_has_a_version_of_its_own,
            // Times.
            times_survive_exactly,
            times_sort_as_times,
            a_query_is_bounded_by_times,
            an_indexed_time_is_a_time,
            a_query_of_times_asks_for_times,
            a_text_that_looks_like_a_time_sorts_as_a_text,
            a_list_by_times_shows_them_as_they_were_written,
            // Limits.
            an_integer_beyond_64_bits_is_refused,
            twenty_levels_are_the_deepest,
            an_array_in_an_array_counts_as_two_levels,
            a_name_that_no_member_can_have_is_refused,
            a_member_that_is_the_stores_own_is_refused,
            numbers_weigh_eight_bytes,
            escapes_weigh_what_they_stand_for,
            a_document_may_weigh_a_mebibyte,
            an_indexed_text_has_at_most_1499_bytes,
            an_indexed_array_has_at_most_5000_texts,
            a_commit_takes_five_hundred_writes,
            a_commit_over_three_mebibytes_is_refused,
            what_is_written_twice_is_refused_whatever_the_writes,
            a_place_behind_an_impossible_id_is_refused,
            a_version_of_elsewhere_is_refused,
        }
    };
}

/// What a rule is given: two domains of one platform, both empty.
pub struct Given {
    /// The store that the rule is about.
    pub store: Arc<dyn Store>,
    /// The store of another domain.
    pub neighbor: Arc<dyn Store>,
    /// How often who reads beside a hundred commits may find half of one: never.
    /// Firestore's emulator does now and then, though the service itself doesn't.
    pub torn_reads: u32,
}

/// What both domains declare.
pub const COLLECTIONS: &[Collection] = &[
    Collection {
        name: THINGS,
        indexes: &[
            Index::ascending("rank"),
            Index::descending("rank"),
            Index::ascending("name"),
            Index::ascending("done"),
            Index::ascending("made_at"),
            Index::descending("made_at"),
            Index::ascending("rank").equals(&["state"]),
            Index::descending("rank").equals(&["state"]),
            Index::ascending("rank").equals(&["state", "owner"]),
            Index::ascending("rank").containing("tags"),
            Index::descending("rank").containing("tags").equals(&["state"]),
        ],
        expires: None,
    },
    Collection { name: OTHERS, indexes: &[Index::ascending("rank")], expires: None },
    Collection { name: VISITORS, indexes: &[], expires: Some("leaves_at") },
];

const THINGS: &str = "things";
const OTHERS: &str = "others";
const VISITORS: &str = "visitors";

/// Where a thing is.
fn thing(id: &str) -> Key {
    Key { collection: THINGS, id: id.to_owned() }
}

/// Adds a thing.
fn create(id: &str, body: &Value) -> Write {
    Write::Create(thing(id), body.to_string())
}

/// All things, from the smallest up.
fn ascending(order: &'static str) -> Query {
    let (equals, collection, direction) = (Vec::new(), THINGS, Direction::Ascending);
    let (contains, at_most, at_least, after) = (None, None, None, None);
    let limit = 1000;
    Query { collection, equals, contains, order, direction, at_most, at_least, limit, after }
}

/// All things, from the largest down.
fn descending(order: &'static str) -> Query {
    Query { direction: Direction::Descending, ..ascending(order) }
}

impl Given {
    /// Commits, and expects that there's nothing to refuse.
    async fn commit(&self, writes: Vec<Write>) -> Result<(), Conflict> {
        self.store.commit(writes).await.expect("a commit that a store takes")
    }

    /// Adds things that nobody waits for, and that aren't there.
    async fn note(&self, creates: Vec<Write>) {
        self.store.note(creates).await.expect("what a store takes").expect("new ids");
    }

    /// Adds a thing.
    async fn create(&self, id: &str, body: Value) {
        self.commit(vec![create(id, &body)]).await.expect("a new id");
    }

    /// Adds things, all in one commit.
    async fn create_all<const N: usize>(&self, things: [(&str, Value); N]) {
        let writes = things.iter().map(|(id, body)| create(id, body)).collect();
        self.commit(writes).await.expect("new ids");
    }

    /// Replaces a thing, whatever it is now.
    async fn replace(&self, id: &str, body: Value) {
        let write = Write::Replace(thing(id), body.to_string(), self.version(id).await);
        self.commit(vec![write]).await.expect("nobody else writes");
    }

    /// Removes a thing, whatever it is now.
    async fn delete(&self, id: &str) {
        let write = Write::Delete(thing(id), self.version(id).await);
        self.commit(vec![write]).await.expect("nobody else writes");
    }

    /// What a thing is, if it's there.
    async fn read(&self, id: &str) -> Option<Value> {
        let record = self.store.get(&thing(id)).await.expect("a store reads")?;
        assert_eq!(record.id, id);
        Some(serde_json::from_str(&record.body).expect("a document is JSON"))
    }

    /// Which version a thing has.
    async fn version(&self, id: &str) -> Version {
        let record = self.store.get(&thing(id)).await.expect("a store reads");
        record.expect("it's there").version
    }

    /// The ids of what a query finds.
    async fn ids(&self, query: &Query) -> Vec<String> {
        let rows = self.store.query(query).await.expect("a declared query");
        rows.records.into_iter().map(|record| record.id).collect()
    }

    /// The ids of what a query finds page by page, so many at a time.
    async fn paged(&self, query: &Query, limit: u32) -> Vec<String> {
        let mut ids = Vec::new();
        let mut query = Query { limit, ..query.clone() };
        loop {
            let rows = self.store.query(&query).await.expect("a declared query");
            assert!(rows.records.len() <= limit as usize, "a page is longer than its limit");
            ids.extend(rows.records.into_iter().map(|record| record.id));
            query.after = rows.next;
            if query.after.is_none() {
                return ids;
            }
        }
    }

    /// What a query counts.
    async fn count(&self, query: &Query) -> u64 {
        self.store.count(query).await.expect("a declared query")
    }

    /// Whether a query is refused, and its count too.
    async fn refuses(&self, query: &Query) -> bool {
        self.store.query(query).await.is_err() && self.store.count(query).await.is_err()
    }
}

#[cfg(test)]
mod tests {
    /// A rule that isn't listed is run by nobody.
    #[test]
    fn every_rule_is_listed() {
        macro_rules! names {
            ($($rule:ident),+ $(,)?) => { [$(stringify!($rule)),+] };
        }
        let listed = store_rules!(names);
        let sources = [
            include_str!("conformance/documents.rs"),
            include_str!("conformance/commits.rs"),
            include_str!("conformance/queries.rs"),
            include_str!("conformance/pages.rs"),
            include_str!("conformance/races.rs"),
            include_str!("conformance/times.rs"),
            include_str!("conformance/limits.rs"),
        ];
        let written: Vec<_> = sources
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next())
            .collect();
        assert_eq!(written, listed);
    }
}
