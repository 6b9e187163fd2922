defmodule Comporta.Pipeline.Note do
  @moduledoc """
  Where a worker notes, in a careful attempt, which record it is about to give to user code.

  A small file that the worker maps into its memory: what it has written there outlives it, however it dies, and costs it
  no system call. It holds where the record begins and where the next one does, 8 bytes each, big-endian, then the CRC-32
  of both in 4 bytes: half a note, none, or what user code scribbled over it is not taken for one.
  """

  alias Comporta.Python.Directory

  @nothing <<0::size(160)>>

  @type range :: {non_neg_integer, non_neg_integer}

  @doc "The path of a new, empty note; nil where there is no room for one, which costs only the halving it would save."
  @spec new() :: Path.t() | nil
  def new do
    path = Directory.new_path()
    if File.write(path, @nothing) == :ok, do: path
  end

  @doc "What the note says, if it can be trusted; it is removed."
  @spec take(Path.t() | nil) :: range | nil
  def take(nil), do: nil

  def take(path) do
    content = File.read(path)
    _ = File.rm(path)

    with {:ok, <<range::binary-size(16), sum::32>>} <- content,
         ^sum <- :erlang.crc32(range),
         <<from::64, upto::64>> <- range do
      {from, upto}
    else
      _ -> nil
    end
  end
end
