defmodule Comporta.Python.MemoryTest do
  use ExUnit.Case, async: true

  alias Comporta.Python.Memory

  test "is what the system says, and nothing of a process that is not there" do
    {pages, 0} = System.cmd("ps", ["-o", "rss=", "-p", System.pid()])
    resident = Memory.resident(String.to_integer(System.pid()))
    assert_in_delta resident, String.to_integer(String.trim(pages)) * 1024, 64 * 1024 * 1024
    assert Memory.resident(999_999_999) == nil
  end
end
