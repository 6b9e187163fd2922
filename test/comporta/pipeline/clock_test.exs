defmodule Comporta.Pipeline.ClockTest do
  use ExUnit.Case, async: true

  alias Comporta.Pipeline.Clock

  test "says when its time is over" do
    clock = Clock.start(Clock.stopped(), 0)
    assert_receive {:time_over, ref}
    assert Clock.over?(clock, ref)
  end

  test "started anew, the old time means nothing" do
    old = Clock.start(Clock.stopped(), 0)
    assert_receive {:time_over, ref}
    refute Clock.over?(Clock.start(old, 60_000), ref)
    refute Clock.over?(Clock.stop(old), ref)
  end

  test "stands still, and goes on with what was left" do
    paused = Clock.pause(Clock.start(Clock.stopped(), 30))
    refute_receive {:time_over, _ref}, 60
    clock = Clock.resume(paused)
    assert_receive {:time_over, ref}
    assert Clock.over?(clock, ref)
  end

  test "what does not stand still is not resumed" do
    assert Clock.resume(Clock.stopped()) == Clock.stopped()
    clock = Clock.start(Clock.stopped(), 60_000)
    assert Clock.resume(clock) == clock
  end
end
