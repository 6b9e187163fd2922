defmodule Comporta.Python.DeathTest do
  use ExUnit.Case, async: true

  alias Comporta.Python.Death

  test "an exit status over 128 is a signal's, where there is such a signal" do
    assert Death.from_status(0, false) == {:exit, 0}
    assert Death.from_status(3, false) == {:exit, 3}
    assert Death.from_status(128, false) == {:exit, 128}
    assert Death.from_status(139, true) == {:signal, 11}
    assert Death.from_status(200, false) == {:exit, 200}
  end

  test "SIGKILL is the cause only where it was not sent for a closed socket" do
    assert Death.from_status(137, false) == {:signal, 9}
    assert Death.from_status(137, true) == {:closed, nil}
    assert Death.from_status(nil, true) == {:closed, nil}
  end

  test "every death has words" do
    for {cause, detail, words} <- [
          {:exit, 3, "exited with status 3"},
          {:signal, 11, "was killed by signal 11 (SIGSEGV)"},
          {:signal, 42, "was killed by signal 42"},
          {:closed, nil, "closed its connection"},
          {:start_timeout, 30_000, "was not ready within 30000 ms"},
          {:not_started, "no room", "could not be started: no room"},
          {:refused, "a.py: no pipeline", "a.py: no pipeline"},
          {:nonsense, "a frame too many", "sent a frame too many"},
          {:memory, 1_073_741_824, "was killed: it used 1024 MiB of memory"},
          {:timeout, "no answer within 60000 ms", "was killed: no answer within 60000 ms"},
          {:recycled, "", "was recycled"}
        ] do
      assert Death.message(%Death{cause: cause, detail: detail}) == words
    end
  end
end
