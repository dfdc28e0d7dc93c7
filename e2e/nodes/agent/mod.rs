//! What must be seen of the agent: profiles get to real nodes, and pods run under them.

mod around;
mod denials;
mod directory;
mod faults;
mod hostile;
mod identity;
mod landing;
mod largest;
mod lives;
mod node;
mod scale;
mod story;
mod uninstalled;
mod upgrade;
mod witness;

use self::{
    denials::what_profiles_deny_is_reported_by_container,
    directory::an_agent_whose_directory_is_replaced_is_recreated_with_the_new_one,
    faults::{
        a_report_that_is_deleted_or_taken_away_from_its_node_is_there_again,
        a_taint_outlives_an_outage_until_the_profiles_are_there,
        an_agent_whose_account_was_deleted_says_so_and_recovers_with_its_next_token,
        profiles_change_while_the_kubelet_and_containerd_are_killed,
        what_is_said_of_a_node_goes_with_it_and_comes_back_with_it,
    },
    hostile::{
        no_pod_runs_under_a_note_of_the_agent,
        what_stands_in_the_way_is_told_and_nothing_outside_is_touched,
    },
    identity::an_agent_speaks_for_its_own_node_alone,
    landing::a_profile_that_one_node_has_is_judged_by_where_the_pod_can_land,
    largest::the_largest_profiles_and_files_of_others_fit_into_the_memory_of_an_agent,
    lives::{
        a_node_that_begins_anew_gets_its_profiles_before_it_gets_pods,
        whoever_reads_while_agents_are_killed_sees_a_whole_file,
    },
    scale::two_hundred_profiles_reach_a_fresh_node_and_take_little_memory,
    story::{
        a_profile_gets_to_every_node_and_a_pod_runs_under_it,
        a_profile_that_changes_and_goes_is_reported_as_it_is,
        what_is_done_to_a_file_by_hand_is_undone,
    },
    uninstalled::without_the_namespace_of_the_agents_files_stay_and_the_nodes_become_unknown,
    upgrade::an_agent_reports_under_the_crds_of_the_previous_version,
    witness::what_runs_without_a_filter_is_reported_beside_what_is_declared,
};
use crate::tests::{Entry, entries};

pub(crate) const ALL: &[Entry] = entries![
    an_agent_reports_under_the_crds_of_the_previous_version,
    a_profile_gets_to_every_node_and_a_pod_runs_under_it,
    what_is_done_to_a_file_by_hand_is_undone,
    a_profile_that_changes_and_goes_is_reported_as_it_is,
    a_profile_that_one_node_has_is_judged_by_where_the_pod_can_land,
    what_stands_in_the_way_is_told_and_nothing_outside_is_touched,
    no_pod_runs_under_a_note_of_the_agent,
    what_runs_without_a_filter_is_reported_beside_what_is_declared,
    what_profiles_deny_is_reported_by_container,
    an_agent_speaks_for_its_own_node_alone,
    an_agent_whose_directory_is_replaced_is_recreated_with_the_new_one,
    two_hundred_profiles_reach_a_fresh_node_and_take_little_memory,
    the_largest_profiles_and_files_of_others_fit_into_the_memory_of_an_agent,
    whoever_reads_while_agents_are_killed_sees_a_whole_file,
    a_report_that_is_deleted_or_taken_away_from_its_node_is_there_again,
    profiles_change_while_the_kubelet_and_containerd_are_killed,
    a_taint_outlives_an_outage_until_the_profiles_are_there,
    what_is_said_of_a_node_goes_with_it_and_comes_back_with_it,
    an_agent_whose_account_was_deleted_says_so_and_recovers_with_its_next_token,
    without_the_namespace_of_the_agents_files_stay_and_the_nodes_become_unknown,
    a_node_that_begins_anew_gets_its_profiles_before_it_gets_pods,
];
