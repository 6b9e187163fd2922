defmodule Comporta.Python.Frame do
  @moduledoc """
  What Python processes and the BEAM send each other: a header and a payload.

  On the wire a frame is the 4-byte big-endian length of the rest (the socket's own `packet: 4`), the 4-byte length of
  the header, the header, and the payload. The header is a map in Erlang's external term format, at most 64 KiB, with
  atoms as keys; its values are integers, floats, atoms, binaries (text is UTF-8), and lists and maps of these. Every
  header has a `kind` and an `id`, an integer that tells requests and their answers apart, 0 where there is no request.
  The payload is opaque here: received as a part of the frame's binary, sent as iodata, never copied.

  Whatever bytes a peer sends, decoding makes no atom and allocates no more than they are long.
  """

  @most_header 64 * 1024
  @atom_map 116

  # The protocol's own words: the only atoms that a header may hold, and here so that they exist.
  @kinds ~w(hello start waiting ready refused log batch outline decoded call answer result hopeless pull assigned seek
            end listed lag failed checkpoint known open opened opened_all fold folded stale flush lost flushed
            superseded claim claimed announce revoked drain draining drained pulse close closed elsewhere banner
            progress ledger verdict)a

  @fields ~w(kind id version token pid reason level text file name hash ordered dedup python modules max_record format
             partition shown base first next attempt arrival_ms probation verdict replay note notes count middle before
             memory to consumed counted dropped duplicates dead in_flight source start until_end batch_bytes store claims
             assignment offset mark unit ends upto generation succeeded late expired without_id)a

  @values ~w(true false nil debug info warning error lines records oversized kafka claims bytes)a

  @vocabulary Enum.uniq(@kinds ++ @fields ++ @values)

  @type header :: %{required(:kind) => atom, required(:id) => integer, optional(atom) => value}
  @type value :: integer | float | atom | binary | [value] | %{optional(atom) => value}

  @doc "The atoms that frames from Python may hold."
  @spec vocabulary() :: [atom, ...]
  def vocabulary, do: @vocabulary

  @doc """
  A frame without its length, for a socket or port of `packet: 4`. An `id` that is not given is 0.

  Raises `ArgumentError` where the header is larger than one may be.
  """
  @spec encode(map, iodata) :: iodata
  def encode(%{kind: kind} = header, payload) do
    header = :erlang.term_to_binary(Map.put_new(header, :id, 0), minor_version: 2)
    size = byte_size(header)
    if size > @most_header, do: raise(ArgumentError, "the header of a #{kind} frame has #{size} bytes")
    [<<size::32>>, header | payload]
  end

  @doc "The header and payload of a frame without its length. The error says, after \"sent\", what it is instead."
  @spec decode(binary) :: {:ok, header, binary} | {:error, String.t()}
  def decode(<<size::32, header::binary-size(size), payload::binary>>) when size <= @most_header do
    with {:ok, header} <- decode_header(header), do: {:ok, header, payload}
  end

  def decode(frame), do: {:error, "#{byte_size(frame)} bytes that are not a frame"}

  # The tag rules out a compressed term, whose claimed size would be allocated.
  defp decode_header(<<131, @atom_map, _::binary>> = binary) do
    with {header, used} when used == byte_size(binary) <- :erlang.binary_to_term(binary, [:safe, :used]),
         %{kind: kind, id: id} when kind in @kinds and is_integer(id) <- header,
         true <- value?(header) do
      {:ok, header}
    else
      _ -> {:error, "a header that is not one of the protocol's"}
    end
  rescue
    ArgumentError -> {:error, "a header that is not a term, or has an atom that the protocol does not use"}
  end

  defp decode_header(_binary), do: {:error, "a header that is not a map"}

  defp value?(value) when is_binary(value) or is_number(value) or is_atom(value), do: true
  defp value?([]), do: true
  defp value?([head | tail]), do: value?(head) and (tail == [] or (is_list(tail) and value?(tail)))

  defp value?(%{} = map) do
    Enum.all?(Map.to_list(map), fn {key, value} -> is_atom(key) and value?(value) end)
  end

  defp value?(_value), do: false
end
