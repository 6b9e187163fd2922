defmodule Comporta.NotesTest do
  use ExUnit.Case, async: true

  alias Comporta.Notes

  test "counts of a pipeline add up, and those of another are zeros" do
    Notes.add("noted", %{lost_offsets: 3, lost_claims: 0})
    Notes.add("noted", %{lost_offsets: 4, late: 1})
    assert Notes.all("noted") == %{lost_offsets: 7, lost_claims: 0, late: 1, expired: 0, without_id: 0}
    assert Notes.all("quiet") == %{lost_offsets: 0, lost_claims: 0, late: 0, expired: 0, without_id: 0}
  end

  test "counts of rows that are missing or negative are none" do
    assert Notes.rows(%{late: 1, expired: 0, without_id: 2, upto: 9}) ==
             {:ok, %{late: 1, expired: 0, without_id: 2}}

    assert Notes.rows(%{late: 1, expired: 0}) == :error
    assert Notes.rows(%{late: 1, expired: -1, without_id: 2}) == :error
  end
end
