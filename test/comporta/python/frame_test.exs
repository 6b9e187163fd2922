defmodule Comporta.Python.FrameTest do
  use Comporta.PythonCase

  alias Comporta.Python.Frame
  alias Comporta.Terms

  # What binary_to_term allocates for 64 KiB at the very most, in words: a list of 64 Ki small integers.
  @most_words 400_000

  describe "a frame" do
    test "comes back as it was" do
      assert holds?(
               2_000,
               :proper.forall({Terms.header(), :proper_types.binary()}, fn {header, payload} ->
                 {:ok, ^header, ^payload} = decode(Frame.encode(header, payload))
                 true
               end)
             )
    end

    test "has the payload as a part of its own binary" do
      frame = IO.iodata_to_binary(Frame.encode(%{kind: :batch}, :binary.copy("x", 10_000)))
      {:ok, _header, payload} = Frame.decode(frame)
      assert :binary.referenced_byte_size(payload) == byte_size(frame)
    end

    test "gets the id 0 where it has none" do
      assert {:ok, %{kind: :flush, id: 0}, ""} = decode(Frame.encode(%{kind: :flush}, []))
    end

    test "may have a header in any encoding of atoms" do
      for options <- [[minor_version: 1], [minor_version: 2]] do
        header = :erlang.term_to_binary(%{kind: :ready, id: 0}, options)
        assert {:ok, %{kind: :ready}, "p"} = Frame.decode(<<byte_size(header)::32, header::binary, "p">>)
      end
    end
  end

  describe "what is not a frame is an error:" do
    test "any bytes" do
      assert holds?(5_000, :proper.forall(:proper_types.binary(), &error_or_frame?/1))

      assert holds?(
               5_000,
               :proper.forall(:proper_types.binary(), &error_or_frame?(headed(<<131, &1::binary>>)))
             )
    end

    test "a frame cut short, or with a byte changed" do
      numbers = {:proper_types.non_neg_integer(), :proper_types.byte()}

      assert holds?(
               3_000,
               :proper.forall({Terms.header(), numbers}, fn {header, {position, byte}} ->
                 frame = IO.iodata_to_binary(Frame.encode(header, "payload"))
                 position = rem(position * 7919, byte_size(frame))
                 <<before::binary-size(position), _, rest::binary>> = frame
                 error_or_frame?(before) and error_or_frame?(<<before::binary, byte, rest::binary>>)
               end)
             )
    end

    test "a header that is longer than it may be, or than the frame" do
      assert {:error, _} = Frame.decode(<<0x7FFFFFFF::32, 131, 116, 0::32>>)
      assert {:error, _} = Frame.decode(<<7::32, 131, 116, 0::32>>)
      long = :erlang.term_to_binary(%{kind: :ready, id: 0, name: :binary.copy("x", 64 * 1024)})
      assert {:error, _} = Frame.decode(headed(long))
    end

    test "no header at all" do
      for frame <- ["", <<0>>, <<0::32>>, <<0::24>>], do: assert({:error, _} = Frame.decode(frame))
    end

    test "a header without a kind of the protocol, or an id" do
      for header <- [
            %{},
            %{id: 1},
            %{kind: :ready},
            %{kind: :erlang, id: 1},
            %{kind: "ready", id: 1},
            %{kind: :ready, id: 1.0}
          ] do
        assert {:error, _} = Frame.decode(headed(:erlang.term_to_binary(header)))
      end
    end

    test "types that the protocol does not use, wherever they stand" do
      foreign = [
        {1, 2},
        self(),
        make_ref(),
        &String.length/1,
        fn -> 1 end,
        <<1::3>>,
        [1 | 2],
        %{"text" => 1},
        %{{1} => 1}
      ]

      for term <- foreign, value <- [term, [1, term], %{name: term}, %{name: [%{file: [term]}]}] do
        assert {:error, _} = Frame.decode(headed(:erlang.term_to_binary(%{kind: :ready, id: 0, name: value})))
      end
    end

    test "bytes after the header's term" do
      header = :erlang.term_to_binary(%{kind: :ready, id: 0})
      assert {:error, _} = Frame.decode(headed(header <> <<0>>))
    end

    test "an unknown atom, which does not come to be" do
      Frame.decode(headed(atom_header("warms_everything_up")))
      before = :erlang.system_info(:atom_count)

      for number <- 1..1_000 do
        assert {:error, _} = Frame.decode(headed(atom_header("never_heard_of_#{number}")))
      end

      assert :erlang.system_info(:atom_count) == before
    end

    test "a compressed term, whose size is a claim" do
      bomb =
        :erlang.term_to_binary(%{kind: :ready, id: 0, name: :binary.copy(<<0>>, 10_000_000)}, [:compressed])

      assert <<131, 80, _::binary>> = bomb
      assert byte_size(bomb) < 64 * 1024
      assert words(fn -> assert {:error, _} = Frame.decode(headed(bomb)) end) < 10_000
    end

    test "lengths that are not there, for which nothing is allocated" do
      for tag <- [104, 105, 108, 109, 110, 111, 116, 77, 100, 107, 118],
          length <- [0x7FFFFFFF, 0xFFFFFFFF, 0x10000000] do
        value = <<131, 116, 1::32, 119, 4, "kind", tag, length::32, 0::64>>
        assert words(fn -> assert {:error, _} = Frame.decode(headed(value)) end) < 10_000
      end
    end

    test "a header as deep as it can be" do
      deep = :binary.copy(<<108, 1::32>>, 9_000) <> <<106>> <> :binary.copy(<<106>>, 9_000)

      header =
        <<131, 116, 3::32, 119, 4, "kind", 119, 5, "ready", 119, 2, "id", 97, 0, 119, 4, "name",
          deep::binary>>

      assert words(fn -> assert {:ok, _, _} = Frame.decode(headed(header)) end) < @most_words
    end
  end

  describe "the Python codec" do
    test "agrees with Erlang's, both ways, on thousands of terms" do
      python = start_ready(:echoes)

      assert holds?(
               300,
               :proper.forall(:proper_types.vector(10, Terms.header()), fn headers ->
                 for header <- headers, do: Python.send_frame(python, header, "")
                 Enum.all?(headers, &(echo(python) == Map.put(&1, :kind, :result)))
               end)
             )
    end
  end

  defp echo(python) do
    receive do
      {:python, ^python, {:frame, header, ""}} -> header
      {:EXIT, ^python, reason} -> raise "ended: #{inspect(reason)}"
    after
      5_000 -> raise "no echo"
    end
  end

  defp decode(frame), do: frame |> IO.iodata_to_binary() |> Frame.decode()
  defp headed(header), do: <<byte_size(header)::32, header::binary>>
  defp atom_header(name), do: <<131, 116, 1::32, 119, byte_size(name), name::binary, 97, 1>>

  # Whatever it is, it raises nothing and makes no atom.
  defp error_or_frame?(bytes) do
    atoms = :erlang.system_info(:atom_count)

    case Frame.decode(bytes) do
      {:ok, %{kind: kind, id: id}, payload} -> is_atom(kind) and is_integer(id) and is_binary(payload)
      {:error, words} -> is_binary(words)
    end and :erlang.system_info(:atom_count) == atoms
  end

  # The most memory that a process of its own had while it ran `fun`.
  defp words(fun) do
    test = self()
    limit = %{size: @most_words * 2, kill: true, error_logger: false}

    {pid, monitor} =
      :erlang.spawn_opt(
        fn ->
          fun.()
          {:total_heap_size, words} = Process.info(self(), :total_heap_size)
          send(test, {:words, self(), words})
        end,
        [:monitor, max_heap_size: limit]
      )

    assert_receive {:DOWN, ^monitor, :process, ^pid, :normal}, 5_000
    assert_receive {:words, ^pid, words}
    words
  end

  defp holds?(times, property),
    do: :proper.quickcheck(property, [:quiet, :noshrink, numtests: times, max_size: 10])
end
