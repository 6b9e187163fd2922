defmodule Comporta.LogTest do
  use ExUnit.Case, async: true

  alias Comporta.Log

  defp format(message, format, meta \\ %{}) do
    meta = Map.put(meta, :time, 1_431_857_103_123_456)
    IO.iodata_to_binary(Log.format(%{level: :info, msg: message, meta: meta}, %{format: format}))
  end

  test "text is one line an event, what follows is indented" do
    assert format({:string, "one\ntwo"}, :text) == "2015-05-17T10:05:03.123Z [info] one\n  two\n"
  end

  test "a line that has its end already gets no other" do
    assert format({~c"SIGTERM received - shutting down~n", []}, :text) ==
             "2015-05-17T10:05:03.123Z [info] SIGTERM received - shutting down\n"
  end

  test "json escapes whatever user code prints" do
    assert format({:string, "a\"b\\c\n\t\0é"}, :json) ==
             ~S({"time":"2015-05-17T10:05:03.123Z","level":"info","message":"a\"b\\c\n\u0009\u0000é"}) <> "\n"
  end

  test "bytes that are not text do not break a line" do
    for form <- [:text, :json] do
      line = format({:string, <<"a", 0xFF, "b">>}, form)
      assert String.valid?(line)
      assert length(String.split(line, "\n", trim: true)) == 1
    end
  end

  test "of supervisors' reports the failure of a child is told, in a line" do
    report = fn context, reason ->
      {:report, %{label: {:supervisor, context}, report: [reason: reason, offender: [id: :store]]}}
    end

    sasl = %{domain: [:otp, :sasl]}
    assert :ignore = Log.filter(%{level: :error, msg: report.(:child_terminated, :killed), meta: sasl}, [])
    assert format(report.(:child_terminated, :killed), :text) =~ ":store failed: killed\n"
    stopped = report.(:child_terminated, {:shutdown, :failed})
    assert :stop = Log.filter(%{level: :error, msg: stopped, meta: sasl}, [])
    assert :stop = Log.filter(%{level: :error, msg: report.(:shutdown, :killed), meta: sasl}, [])
    assert :ignore = Log.filter(%{level: :error, msg: {:string, "words"}, meta: %{domain: [:elixir]}}, [])
  end

  test "reports and format strings" do
    assert format({:report, %{label: :x}}, :text) =~ "label"
    assert format({~c"~p and ~s", [:a, "b"]}, :text) =~ "a and b"
    assert format({:report, %{n: 1}}, :text, %{report_cb: fn %{n: n} -> {~c"n is ~p", [n]} end}) =~ "n is 1"
  end
end
