defmodule Comporta.Python.PeerTest do
  @moduledoc "A peer that sends nonsense is a crashed peer, never a crashed BEAM."
  use Comporta.PythonCase

  describe "before the hello" do
    test "any bytes end the peer and nothing else" do
      property =
        :proper.forall(:proper_types.binary(), fn bytes ->
          nonsense?(start_script("raw.py", [hex(framed(bytes))]))
        end)

      assert :proper.quickcheck(property, [:quiet, :noshrink, numtests: 15])
    end

    test "a length of 0x7fffffff allocates nothing" do
      for hello <- [[], ["{}"]], length <- [0x7FFFFFFF, 0xFFFFFFFF, 64 * 1024 * 1024 + 1] do
        before = :erlang.memory(:binary)
        python = start_script("raw.py", [hex(<<length::32, "x">>) | hello])
        assert %Death{cause: :nonsense, detail: words} = death(python)
        assert words =~ "a frame of more than 67108864 bytes"
        assert :erlang.memory(:binary) < before + 16 * 1024 * 1024
      end
    end
  end

  describe "the hello" do
    test "must have the token" do
      for token <- ["", String.duplicate("A", 64), 7] do
        assert %Death{cause: :nonsense, detail: words} = death(hello(token: token))
        assert words =~ "token"
      end
    end

    test "must be of this version, else both are named" do
      assert %Death{cause: :refused} = death = death(hello(version: 2))
      assert Death.message(death) =~ "version 2 of the protocol, and this is version 1"
    end

    test "must come first, and once" do
      assert %Death{cause: :nonsense} = death(hello(kind: "ready"))
    end
  end

  describe "after the hello" do
    test "any bytes end the peer and nothing else" do
      property =
        :proper.forall(:proper_types.binary(), fn bytes ->
          nonsense?(start_script("raw.py", [hex(framed(bytes)), "{}"]))
        end)

      assert :proper.quickcheck(property, [:quiet, :noshrink, numtests: 15])
    end
  end

  describe "once it is ready" do
    test "frames cut short end with the peer" do
      ready = framed(IO.iodata_to_binary(Comporta.Python.Frame.encode(%{kind: :ready}, "payload")))
      half = binary_part(ready, 0, byte_size(ready) - 3)
      python = start_script("raw.py", [hex(ready <> half), "{}"])
      assert_receive {:python, ^python, {:ready, _header, "payload"}}, 10_000
      System.cmd("kill", ["-9", to_string(Python.os_pid(python))])
      assert %Death{cause: :signal, detail: 9} = death(python)
      refute_received {:python, ^python, {:frame, _header, _payload}}
    end

    test "nonsense among frames is told from them" do
      frame = framed(IO.iodata_to_binary(Comporta.Python.Frame.encode(%{kind: :ready}, "")))
      python = start_script("raw.py", [hex(frame <> framed(<<5::32, 131, 106, 0, 0, 0>>)), "{}"])
      assert_receive {:python, ^python, {:ready, _header, _payload}}, 10_000
      assert %Death{cause: :nonsense} = death(python)
    end
  end

  defp nonsense?(python), do: death(python).cause == :nonsense

  defp hello(changes) do
    json = "{" <> Enum.map_join(changes, ",", fn {key, value} -> ~s("#{key}": #{inspect(value)}) end) <> "}"
    start_script("raw.py", ["", json])
  end

  defp framed(frame), do: <<byte_size(frame)::32, frame::binary>>
  defp hex(bytes), do: Base.encode16(bytes)
end
