defmodule Comporta.Log do
  @moduledoc """
  The log: one line an event on stderr, as text or as JSON, whatever user code prints.

  A formatter of Erlang's `:logger`; the handler is set up by `setup/1`.
  """

  @longest 8_192

  @doc "Has everything that is logged go to stderr in `format`."
  @spec setup(:text | :json) :: :ok
  def setup(format) do
    _ = :logger.remove_handler(:default)
    _ = :logger.remove_handler(__MODULE__)

    :logger.add_handler(__MODULE__, :logger_std_h, %{
      config: %{type: :standard_error},
      formatter: {__MODULE__, %{format: format}},
      filters: [supervisors: {&__MODULE__.filter/2, []}]
    })
  end

  @doc """
  Has nothing logged any more: whoever read stderr is gone.

  A handler that fails because of that is taken out by whoever logs, which can be the very process that Elixir's logger
  waits for as it stops, so that a BEAM would never end.
  """
  @spec silence() :: :ok | {:error, term}
  def silence, do: :logger.set_primary_config(:level, :none)

  @doc """
  Lets through, of what supervisors report, only that a child failed: the rest says again, at length, what the processes
  themselves have said.
  """
  @spec filter(:logger.log_event(), term) :: :logger.filter_return()
  def filter(%{msg: {:report, %{label: {:supervisor, :child_terminated}, report: report}}}, _) do
    if match?({:shutdown, _}, report[:reason]), do: :stop, else: :ignore
  end

  def filter(%{meta: %{domain: [:otp, :sasl | _]}}, _), do: :stop
  def filter(_event, _), do: :ignore

  @doc "Formats an event: what Erlang's `:logger` asks of a formatter."
  @spec format(:logger.log_event(), map) :: iodata
  def format(%{level: level, msg: message, meta: meta}, %{format: format}) do
    # OTP's own messages end their line themselves.
    line(format, time(meta), level, String.trim_trailing(text(message, meta), "\n"))
  end

  defp line(:text, time, level, text),
    do: [time, " [", to_string(level), "] ", String.replace(text, "\n", "\n  "), "\n"]

  defp line(:json, time, level, text) do
    [~s({"time":), json(time), ~s(,"level":), json(to_string(level)), ~s(,"message":), json(text), "}\n"]
  end

  defp time(%{time: microseconds}) do
    microseconds
    |> DateTime.from_unix!(:microsecond)
    |> DateTime.truncate(:millisecond)
    |> DateTime.to_iso8601()
  end

  defp text({:string, chardata}, _meta), do: printable(IO.chardata_to_string(chardata))

  defp text({:report, %{label: {:supervisor, :child_terminated}, report: report}}, _meta) do
    "#{inspect(report[:offender][:id])} failed: #{Exception.format_exit(report[:reason])}"
  end

  defp text({:report, report}, %{report_cb: callback}) when is_function(callback, 1),
    do: text(callback.(report), %{})

  defp text({:report, report}, %{report_cb: callback}) when is_function(callback, 2) do
    printable(
      IO.chardata_to_string(callback.(report, %{depth: 20, chars_limit: @longest, single_line: false}))
    )
  end

  defp text({:report, report}, _meta), do: inspect(report, limit: 50, printable_limit: @longest)

  defp text({format, arguments}, _meta),
    do: printable(to_string(:io_lib.format(format, arguments, chars_limit: @longest)))

  # What user code prints need not be text.
  defp printable(text), do: if(String.valid?(text), do: text, else: inspect(text, binaries: :as_strings))

  defp json(text), do: [?", for(<<char::utf8 <- text>>, do: escape(char)), ?"]

  defp escape(?"), do: ~S(\")
  defp escape(?\\), do: ~S(\\)
  defp escape(?\n), do: ~S(\n)
  defp escape(char) when char < 0x20 or char == 0x7F, do: :io_lib.format("\\u~4.16.0b", [char])
  defp escape(char), do: <<char::utf8>>
end
