defmodule Comporta.Pipeline.SequencerTest do
  use ExUnit.Case, async: true

  alias Comporta.Ledger
  alias Comporta.Pipeline.{Result, Sequencer}

  setup do
    run = %{name: "sequencer test #{System.unique_integer()}"}
    sequencer = start_supervised!(%{id: :sequencer, start: {Sequencer, :start_link, [run]}})
    Sequencer.subscribe(sequencer, self())
    assert_receive {:"$gen_producer", {^sequencer, up}, {:subscribe, nil, _}}
    assert_receive {:"$gen_producer", {^sequencer, ^up}, {:ask, _}}
    down = make_ref()
    send(sequencer, {:"$gen_producer", {self(), down}, {:subscribe, nil, []}})
    send(sequencer, {:"$gen_producer", {self(), down}, {:ask, 1_000_000}})
    %{sequencer: sequencer, up: up, down: down}
  end

  defp result(partition, assignment, first, next, start \\ 0) do
    %Result{
      partition: partition,
      assignment: assignment,
      start: start,
      first: first,
      next: next,
      ledger: Ledger.new(),
      payload: ""
    }
  end

  defp deliver(context, results) do
    for result <- results, do: send(context.sequencer, {:"$gen_consumer", {self(), context.up}, [result]})
    :sys.get_state(context.sequencer)
    received(context.down, [])
  end

  defp received(down, ranges) do
    receive do
      {:"$gen_consumer", {_, ^down}, [result]} ->
        received(down, [{result.partition, result.first, result.next} | ranges])
    after
      0 -> Enum.reverse(ranges)
    end
  end

  test "results of a partition leave in the order of offsets, whatever order they came in", context do
    :rand.seed(:exsss, {4, 5, 6})

    for assignment <- 1..50 do
      ends = Enum.scan(1..30, 0, fn _, offset -> offset + Enum.random(1..9) end)
      ranges = Enum.zip([0 | ends], ends)
      results = for {first, next} <- ranges, do: result("a", assignment, first, next)
      assert deliver(context, Enum.shuffle(results)) == for({first, next} <- ranges, do: {"a", first, next})
    end
  end

  test "a gap holds up its own partition only", context do
    assert deliver(context, [result("a", 1, 5, 9), result("b", 1, 0, 3)]) == [{"b", 0, 3}]
    assert deliver(context, [result("a", 1, 0, 5)]) == [{"a", 0, 5}, {"a", 5, 9}]
  end

  test "a newer assignment begins at its own start, and older results are dropped", context do
    assert deliver(context, [result("a", 1, 0, 5), result("a", 1, 9, 12)]) == [{"a", 0, 5}]
    assert deliver(context, [result("a", 2, 3, 7, 3)]) == [{"a", 3, 7}]
    assert deliver(context, [result("a", 1, 5, 9), result("a", 1, 7, 8)]) == []
    assert deliver(context, [result("a", 2, 7, 9, 3)]) == [{"a", 7, 9}]
  end
end
