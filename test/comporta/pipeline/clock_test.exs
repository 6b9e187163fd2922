defmodule Comporta.Pipeline.ClockTest do
  use ExUnit.Case, async: true

  alias Comporta.Pipeline.Clock

  test "says when its time is over" do
    clock = Clock.start(Clock.stopped(), 0)
    assert_receive {:time_over, ref}
    assert Clock.look(clock, ref) == :over
  end

  test "what a BEAM that stood still finds to be over begins anew" do
    clock = Clock.start(Clock.stopped(), 20)
    assert_receive {:time_over, ref}
    now = System.monotonic_time(:millisecond)
    assert Clock.look(clock, ref, now + 900) == :over
    clock = Clock.look(clock, ref, now + 1_100)
    assert_receive {:time_over, again}
    assert again != ref
    assert Clock.look(clock, ref) == clock
    assert Clock.look(clock, again) == :over
  end

  test "started anew, the old time means nothing" do
    old = Clock.start(Clock.stopped(), 0)
    assert_receive {:time_over, ref}
    for clock <- [Clock.start(old, 60_000), Clock.stop(old)], do: assert(Clock.look(clock, ref) == clock)
  end

  test "stands still, and goes on with what was left" do
    paused = Clock.pause(Clock.start(Clock.stopped(), 30))
    refute_receive {:time_over, _ref}, 60
    clock = Clock.resume(paused)
    assert_receive {:time_over, ref}
    assert Clock.look(clock, ref) == :over
  end

  test "what does not stand still is not resumed" do
    assert Clock.resume(Clock.stopped()) == Clock.stopped()
    clock = Clock.start(Clock.stopped(), 60_000)
    assert Clock.resume(clock) == clock
  end
end
