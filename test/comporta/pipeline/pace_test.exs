defmodule Comporta.Pipeline.PaceTest do
  use ExUnit.Case, async: true

  alias Comporta.Pipeline.Pace

  defp after_batches(batches),
    do: Enum.reduce(batches, Pace.new(), fn {us, records}, pace -> Pace.worked(pace, us, records) end)

  test "batches are small until it is known what a record costs" do
    assert Pace.records(Pace.new()) == 1_000
    assert Pace.records(after_batches([{5, 0}])) == 1_000
  end

  test "a batch is to take a tenth of a second" do
    assert Pace.records(after_batches([{50_000, 1_000}])) == 2_000
    assert Pace.records(after_batches([{5_000, 1_000}, {5_000, 1_000}])) == 20_000
  end

  test "a batch has neither too few records nor too many" do
    assert Pace.records(after_batches([{3_000_000, 10}])) == 100
    assert Pace.records(after_batches([{1, 10_000}])) == 50_000
    assert Pace.records(after_batches([{0, 10_000}])) == 50_000
  end

  test "what records cost now is followed" do
    slow = List.duplicate({1_000_000, 1_000}, 5)
    quick = List.duplicate({2_000, 1_000}, 30)
    assert Pace.records(after_batches(slow ++ quick)) > 40_000
    assert Pace.records(after_batches(quick ++ slow)) < 200
  end
end
