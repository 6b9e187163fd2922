defmodule Comporta.Pipeline.AssignmentsTest do
  use ExUnit.Case, async: true

  alias Comporta.Pipeline.{Assignments, Batch}

  defp batch(assignment, first, next) do
    %Batch{
      partition: "a",
      shown: "a.log",
      assignment: assignment,
      start: 0,
      format: :lines,
      base: first,
      first: first,
      next: next,
      count: 2,
      payload: "12345"
    }
  end

  defp assigned(upto \\ 0) do
    {1, assignments} = Assignments.assign(Assignments.new())

    assignments
    |> Assignments.opened(%{partition: "a", assignment: 1, upto: upto})
    |> Assignments.opened_all(1)
  end

  test "what is folded is no longer in flight" do
    assignments =
      assigned() |> Assignments.in_flight(batch(1, 0, 10)) |> Assignments.in_flight(batch(1, 10, 20))

    assert {Assignments.bytes(assignments), Assignments.records(assignments)} == {10, 4}

    assert assignments |> Assignments.folded(%{partition: "a", assignment: 1, next: 5}) |> Assignments.bytes() ==
             10

    assert assignments
           |> Assignments.folded(%{partition: "a", assignment: 1, next: 10})
           |> Assignments.bytes() == 5

    assert assignments
           |> Assignments.folded(%{partition: "a", assignment: 2, next: 20})
           |> Assignments.bytes() == 10
  end

  test "a partition that is revoked is stale, and so is what comes of its older assignments" do
    again = assigned() |> Assignments.in_flight(batch(1, 0, 10)) |> Assignments.revoke("a")
    assert Assignments.idle?(again)
    assert Assignments.start(again, "a", 1) == :stale
    {2, again} = Assignments.assign(again)
    refute Assignments.opening?(again, "a", 1)
    assert Assignments.opening?(again, "a", 2)
    opened = Assignments.opened(again, %{partition: "a", assignment: 2, upto: 7})
    assert Assignments.start(opened, "a", 2) == {:ok, 7}
  end

  test "a store that was lost takes everything with it until it is told of again" do
    lost =
      assigned() |> Assignments.listed() |> Assignments.in_flight(batch(1, 0, 10)) |> Assignments.forget()

    assert Assignments.idle?(lost)
    assert Assignments.end_reached(lost) == :no
    assert lost |> Assignments.listed() |> Assignments.end_reached() == :checkpoint
  end

  test "what others read is waited for" do
    assignments =
      assigned(10) |> Assignments.listed() |> Assignments.ends("a", 10) |> Assignments.ends("b", 5)

    assert Assignments.end_reached(assignments) == :elsewhere
    assert assignments |> Assignments.elsewhere("b", 4) |> Assignments.end_reached() == :elsewhere
    assert assignments |> Assignments.elsewhere("b", 5) |> Assignments.end_reached() == :checkpoint
  end

  test "what was read has settled when it is durable" do
    read = Assignments.in_flight(assigned(), batch(1, 0, 10))
    refute Assignments.settled?(read)
    folded = Assignments.folded(read, %{partition: "a", assignment: 1, next: 10})
    refute Assignments.settled?(folded)
    assert folded |> Assignments.checkpoint("a", 10) |> Assignments.settled?()
  end

  test "the end is reached when every partition is durable up to its own" do
    assignments = assigned(4) |> Assignments.ends("a", 10)
    assert Assignments.end_reached(assignments) == :no
    assignments = Assignments.listed(assignments)
    assert Assignments.end_reached(assignments) == :no
    assignments = Assignments.folded(assignments, %{partition: "a", assignment: 1, next: 10})
    assert Assignments.end_reached(assignments) == :folded
    assert assignments |> Assignments.checkpoint("a", 10) |> Assignments.end_reached() == :checkpoint
  end

  test "a partition whose end is not known, or that is not open yet, has not reached it" do
    assert assigned(10) |> Assignments.listed() |> Assignments.end_reached() == :no

    {2, opening} = assigned(10) |> Assignments.ends("a", 10) |> Assignments.listed() |> Assignments.assign()

    assert Assignments.end_reached(opening) == :no
  end

  test "offsets are lost once, however often their range comes" do
    lost = fn first, next -> %{batch(1, first, next) | lost: true} end
    assert {6, assignments} = Assignments.lost(assigned(), lost.(4, 10))
    assert {0, assignments} = Assignments.lost(assignments, lost.(4, 10))
    assert {3, assignments} = assignments |> Assignments.revoke_all() |> Assignments.lost(lost.(4, 13))
    assert {0, assignments} = Assignments.lost(assignments, batch(1, 13, 20))
    assert {2, _} = Assignments.lost(assignments, lost.(20, 22))
  end

  test "lag counts what is not folded" do
    assert Assignments.lag(assigned(4), [["a", 10], ["unknown", 99]]) == 6
  end
end
