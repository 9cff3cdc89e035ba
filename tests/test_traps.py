"""Which test stands against which known mistake of tools in this field.

A register, so that no line of the list is forgotten: each entry names tests, and is checked to name
tests that exist. A mistake that concerns a part that does not exist yet has no entry yet.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

CONTENT = "attest/flow/test_verify_content.py"
SIGNATURE = "attest/flow/test_verify_signature.py"
SIGN = "attest/flow/test_sign.py"
SIGNERS = "attest/trust/test_signers.py"
PRINCIPALS = "attest/trust/test_principals.py"
APPROVAL = "attest/flow/test_approval.py"
CLAIMSET = "attest/flow/test_claimset.py"

TRAPS: dict[str, list[str]] = {
    "an empty set passes": [
        f"{CONTENT}::test_pattern_that_matches_nothing",
        f"{CONTENT}::test_pattern_that_matches_only_another_signature",
        f"{CONTENT}::test_pattern_that_matches_only_allowed_unsigned_files",
        f"{CONTENT}::test_emptied_tree",
        f"{SIGNATURE}::test_empty_trust_cannot_be_made",
        f"{SIGN}::test_nothing_to_sign",
        "vectors/bad/no-signature.sig",
        "vectors/bad/no-resources.sig",
        "vectors/bad/no-subject.sig",
    ],
    "an optional argument that omits a check": [
        "test_public_api.py::test_time_and_trust_have_no_defaults",
        f"{SIGNATURE}::test_timestamp_missing_where_one_is_required",
    ],
    "a result whose truth value misleads": [f"{SIGNATURE}::test_verdict_has_no_truth_value"],
    "the key taken from the evidence itself": [
        f"{SIGNERS}::test_key_inside_the_bundle_is_never_used"
    ],
    "a verifier that remembers": [f"{CONTENT}::test_verifier_keeps_no_state_between_calls"],
    "the signer decides what is ignored": [
        f"{CONTENT}::test_signer_who_ignores_everything_covers_nothing_more",
        f"{CONTENT}::test_ignored_path_is_refused_unless_the_consumer_allows_it",
        f"{CONTENT}::test_consumer_cannot_allow_everything_or_what_lies_outside",
        "vectors/bad/ignores-everything.sig",
        "vectors/bad/ignores-almost-everything.sig",
    ],
    "certificates": [
        "vectors/bad/certificate-expired.sig",
        "vectors/bad/certificate-not-yet-valid.sig",
        "vectors/bad/certificate-tls-server.sig",
        "vectors/bad/certificate-wrong-name.sig",
    ],
    "links and names": [
        f"{CONTENT}::test_folder_link_whose_target_changed",
        f"{CONTENT}::test_new_file_behind_a_followed_folder_link",
        f"{SIGN}::test_followed_link_that_leads_astray",
        f"{SIGN}::test_names_that_collide_after_normalisation",
        "vectors/bad/name-duplicate.sig",
        "vectors/bad/name-duplicate-behind-dot-colon.sig",
        "vectors/bad/name-absolute.sig",
        "vectors/bad/name-dot-dot.sig",
        "vectors/bad/name-collision.sig",
    ],
    "time of check, time of use": [
        f"{SIGN}::test_file_replaced_between_listing_and_hashing",
        f"{SIGN}::test_folder_replaced_by_a_link_between_listing_and_hashing",
        "attest/artifact/test_hashing.py::test_file_that_a_writer_appends_to_all_the_time",
        "attest/artifact/test_walk.py::test_folder_swapped_for_a_link_while_walking_is_not_followed",
    ],
    "trust read back from a cache": [
        "attest/flow/test_crash.py::test_verify_never_opens_a_journal",
        "attest/artifact/test_journal.py::test_that_others_may_touch",
        "attest/artifact/test_journal.py::test_restored_modification_time_does_not_help",
    ],
    "signatures or keys counted instead of people": [
        f"{PRINCIPALS}::test_two_keys_of_one_person_are_one_voice",
        f"{PRINCIPALS}::test_one_key_cannot_be_two_people",
        f"{PRINCIPALS}::test_a_hybrid_is_not_satisfied_by_two_classical_keys",
        f"{PRINCIPALS}::test_a_computed_key_is_no_second_person",
        f"{APPROVAL}::test_two_keys_of_one_person_are_one",
        f"{APPROVAL}::test_one_approval_many_times_is_one",
        f"{APPROVAL}::test_a_threshold_of_none_cannot_be_asked",
        f"{SIGNERS}::test_one_signature_repeated_is_one_signer",
        "vectors/bad/one-key-signs-twice.sig",
        "vectors/bad/post-quantum-stripped.sig",
    ],
    "a negative that an attacker strips": [
        "attest/flow/test_claims.py::test_removing_a_claim_gains_nothing",
        f"{CLAIMSET}::test_a_revocation_by_the_signer_takes_the_claim_back",
        "attest/flow/test_merge.py::test_no_foreign_signature_takes_a_claim_away",
    ],
    "unsigned files that a signature ignores": [
        f"{CONTENT}::test_folder_with_the_name_of_a_signature_is_not_excused",
        f"{CONTENT}::test_claims_file_inside_the_tree_is_an_unsigned_file",
        f"{CONTENT}::test_uncovered_link_is_refused",
        f"{SIGN}::test_claims_file_inside_the_artifact",
        f"{SIGN}::test_git_folder_is_told",
    ],
    "one digest matches while another does not": [
        "vectors/bad/wrong-root.sig",
        "vectors/bad/wrong-tree-digest.sig",
        "vectors/bad/tree-digest-of-another-hash.sig",
        "vectors/bad/legacy-second-digest.sig",
        "attest/flow/test_claims.py::test_claim_with_one_digest_of_another_artifact_does_not_count",
        f"{CLAIMSET}::test_one_digest_of_two_is_not_enough",
    ],
    "a clock that cannot be given": [f"{SIGNATURE}::test_naive_time_is_a_mistake_of_the_caller"],
    "forgiving parsers": [
        "attest/codec/test_jsonstrict.py::test_refuses",
        "attest/codec/test_b64.py::test_refuses",
        "attest/artifact/test_layout.py::test_digits_of_other_scripts_are_no_number",
        "vectors/bad/ranges-other-digits.sig",
        "vectors/bad/base64-junk.sig",
        "vectors/bad/duplicate-key-outer.sig",
        "vectors/bad/nan.sig",
        "vectors/bad/huge-integer.sig",
        "vectors/bad/nested.sig",
    ],
    "allocation and time by what the attacker says": [
        "attest/codec/test_jsonstrict.py::test_time_is_linear",
        "attest/codec/test_jsonstrict.py::test_memory_is_linear",
        "attest/codec/test_bigjson.py::test_hostile_cuts_cost_linear_time",
        "attest/artifact/test_layout.py::test_made_up_total_does_not_cost_a_line_each",
        "attest/artifact/test_walk.py::test_links_that_double_at_every_level_are_bounded",
        f"{SIGNATURE}::test_signature_of_a_gigabyte_is_not_read",
    ],
    "characters for bytes": ["attest/codec/test_small_formats.py::test_pae_counts_bytes"],
    "trailing bytes, two encodings of one value": [
        "vectors/bad/signature-trailing-byte.sig",
        "vectors/bad/trailing-garbage.sig",
        "vectors/bad/base64-unused-bits.sig",
        "vectors/bad/digest-upper-case.sig",
        "attest/codec/test_bigjson.py::test_comma_before_the_end_at_the_real_window_size",
        "property/test_codecs.py::test_base64_accepts_one_spelling_per_value",
    ],
    "a pickle executed by the tool that checks it": [
        f"{SIGN}::test_distributed_checkpoint_is_never_unpickled"
    ],
    "layout inspections that run commands": [
        "attest/adapters/test_intoto.py::test_a_layout_with_an_inspection_is_refused_and_nothing_runs",
        "attest/adapters/test_intoto.py::test_an_inspection_inside_a_delegated_layout",
        "attest/adapters/test_intoto.py::test_inspections_come_before_everything_else",
    ],
    "decompression before bounding, quadratic validation": [
        "attest/scan/test_containers.py::test_a_bomb_in_levels",
        "attest/scan/test_containers.py::test_a_stream_of_zeros",
        "attest/scan/test_containers.py::test_archives_that_share_their_bytes_at_every_level",
        "attest/scan/test_pickle_machine.py::test_claims_of_two_gigabytes",
    ],
    "deny-lists of dangerous names": [
        "attest/scan/test_pickle_machine.py::test_computed_names_are_malicious",
        "attest/scan/test_pickle_machine.py::test_extensions_are_malicious",
        "attest/scan/test_pickle_machine.py::test_building_a_class_changes_the_process",
        "attest/scan/test_pickle_machine.py::test_items_only_go_into_containers",
        "attest/scan/test_pickle_machine.py::test_no_name_that_cpython_looks_up_is_missed",
        "attest/scan/test_containers.py::test_an_archive_that_lies_is_not_clean",
        "attest/scan/test_containers.py::test_nested_to_the_limit",
        "attest/scan/test_fixture_verdicts.py::test_no_name_makes_a_malicious_file_clean",
    ],
    "not scanned, reported as clean": [
        "attest/scan/test_pickle_machine.py::test_streams_that_break_are_unscannable",
        "attest/scan/test_fixture_verdicts.py::test_no_other_file_is_clean",
    ],
}


@pytest.mark.parametrize("trap", TRAPS)
def test_trap_is_covered(trap):
    assert TRAPS[trap]
    for entry in TRAPS[trap]:
        name, _, function = entry.partition("::")
        path = TESTS / name
        assert path.exists(), entry
        if function:
            assert re.search(rf"^def {function}\(", path.read_text(), re.MULTILINE), entry
