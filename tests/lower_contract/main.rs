//! What every lower must do, asked of each: in process, in process without exchanging names, through an agent, through an
//! agent started by a spawner, and through a fake without faults. Then what only agents and only fakes do.

mod agents;
mod cases;
mod fakes;
mod races;
mod rig;

use rig::{Kind, run};

/// Makes each case a test of each lower.
macro_rules! contract {
    ($($family:ident: $($case:ident)*;)*) => {
        contract!(@lower posix Posix $($($family $case)*)*);
        contract!(@lower plain Plain $($($family $case)*)*);
        contract!(@lower agent Agent $($($family $case)*)*);
        contract!(@lower spawned Spawned $($($family $case)*)*);
        contract!(@lower fake Fake $($($family $case)*)*);
    };
    (@lower $module:ident $kind:ident $($family:ident $case:ident)*) => {
        mod $module {
            $(#[test] fn $case() { super::run(super::Kind::$kind, super::cases::$family::$case); })*
        }
    };
}

contract! {
    looking:
        a_probe_tells_who_is_there
        an_empty_root_is_told
        a_probe_makes_nothing
        a_listing_has_every_kind
        a_listing_of_a_file_is_not_found
        a_missing_directory_is_not_found
        our_own_directory_is_not_listed
        a_directory_of_that_name_without_id_is_listed
        silly_files_are_not_listed
        a_missing_name_is_none
        a_missing_parent_is_not_found
        the_root_can_be_looked_at
        xattrs_come_when_asked_for
        a_symlink_on_the_way_is_outside
        a_symlink_itself_is_seen
        names_need_not_be_text;
    reading:
        bytes_and_hash_arrive
        holes_stay_holes
        what_was_in_the_local_file_is_gone
        an_empty_file_is_read
        a_missing_file_is_not_found
        a_directory_cannot_be_read
        a_fifo_does_not_hang_a_read
        a_local_file_that_refuses_is_our_trouble
        many_small_files_come_together_and_each_has_its_answer
        a_part_comes_to_its_place_and_nothing_else_does;
    staging:
        begin_twice_is_fine
        the_id_is_made_once
        a_foreign_directory_of_our_name_is_left_alone
        staging_without_begin_is_not_found
        a_staged_file_has_bytes_and_attributes
        a_staged_file_is_seen_by_nobody
        staging_again_replaces
        each_kind_can_be_staged
        a_socket_is_refused
        set_id_bits_survive_the_owner
        a_read_only_file_gets_its_xattrs
        an_attribute_that_is_refused_is_told;
    publishing:
        a_new_file_gets_its_name
        a_new_directory_gets_its_name
        a_taken_name_is_not_replaced
        a_directory_is_not_put_onto_an_empty_one
        a_missing_directory_refuses_a_name
        a_link_left_by_a_crash_is_finished
        the_expected_file_is_replaced_and_kept
        a_file_changed_meanwhile_is_not_replaced
        a_file_replaced_meanwhile_is_not_replaced
        a_file_gone_meanwhile_is_not_replaced
        equal_looking_bytes_are_read_when_racy
        another_kind_can_take_the_place
        a_try_interrupted_after_the_link_goes_on
        nothing_is_published_into_our_directory
        publishing_nothing_is_not_found
        a_read_only_directory_refuses;
    taking:
        a_file_is_taken_and_kept
        a_changed_file_stays
        a_full_directory_stays
        an_empty_directory_is_taken
        a_directory_moves_with_its_content
        a_moving_directory_may_be_worked_in
        a_hard_link_becomes_one_more_name
        a_hard_link_can_replace
        what_is_gone_cannot_be_taken;
    setting:
        mode_and_times_are_set
        xattrs_are_set_and_removed
        a_changed_object_is_not_touched
        a_symlink_is_not_followed
        the_root_itself_can_be_changed;
    attempts:
        an_attempt_tells_what_it_holds
        a_fence_moves_everything
        a_fence_of_nothing_is_fine
        a_fence_again_is_fine
        an_end_removes_what_is_left
        an_end_keeps_what_shall_be_kept
        two_kept_under_one_label_are_both_there
        an_end_never_removes_a_full_directory
        ending_twice_is_fine;
    watching:
        a_change_is_told
        names_are_told_apart
        what_is_not_watched_is_not_told
        what_is_removed_is_watched_no_more
        a_moved_directory_is_told
        listening_keeps_nobody_waiting;
}
