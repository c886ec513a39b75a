"""Tables as clinics and labs export them: the same twelve leads in every shape."""

import numpy as np
import pandas as pd
import pytest

from ecg_generator_with_train_src.common.errors import InputError
from ecg_generator_with_train_src.record_files.lead_names import LEADS
from ecg_generator_with_train_src.record_files.text_tables import read_text_signals

from helpers import waves_mv

TABLE = waves_mv(50).round(4)
ROWS = TABLE.to_csv(index=False, header=False, lineterminator="\n")
HEADER = ",".join(LEADS)


def semicolons(text: str) -> str:
    return text.replace(",", ";").replace(".", ",")


SHAPES = {
    "plain": f"{HEADER}\n{ROWS}",
    "other case": f"{HEADER.upper()}\n{ROWS}",
    "prefixes": ",".join(f"MDC_ECG_LEAD_{lead}" for lead in LEADS) + "\n" + ROWS,
    "units in names": ",".join(f"Lead {lead} (mV)" for lead in LEADS) + "\n" + ROWS,
    "line of units": f"{HEADER}\n" + ",".join(["mV"] * 12) + "\n" + ROWS,
    "comments": f"# made by a device\n% of 2024\n{HEADER}\n# calibrated\n{ROWS}",
    "commented header": f"# {HEADER}\n{ROWS}",
    "words above": f"Patient,X\nLeads: I,II,III\nFilter;0.05-150\n\n{HEADER}\n{ROWS}",
    "semicolons, decimal commas": semicolons(f"{HEADER}\n{ROWS}"),
    "tabs": f"{HEADER}\n{ROWS}".replace(",", "\t"),
    "tabs, decimal commas": semicolons(f"{HEADER}\n{ROWS}").replace(";", "\t"),
    "bars": f"{HEADER}\n{ROWS}".replace(",", "|"),
    "blanks": f"{HEADER}\n{ROWS}".replace(",", "  "),
    "quoted decimal commas": TABLE.astype(str).map(lambda x: x.replace(".", ",")).to_csv(index=False),
    "Windows": f"{HEADER}\n{ROWS}".replace("\n", "\r\n"),
    "old Macintosh": f"{HEADER}\n{ROWS}".replace("\n", "\r"),
    "index and words beside": TABLE.assign(note="x y", beat=np.arange(500)).to_csv(),
    "clock times": TABLE.assign(time="12:00:01").to_csv(index=False),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_shape_holds_the_same_leads(tmp_path, shape, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes(SHAPES[shape].encode(encoding))
    file = read_text_signals(path)
    assert list(file.signals) == list(LEADS)
    np.testing.assert_array_equal(np.stack(list(file.signals.values()), axis=1), TABLE.to_numpy())
    assert file.fs_hz is None
    told = shape in ("units in names", "line of units")
    assert set(file.mv_per_unit.values()) == ({1.0} if told else {None})


def written(tmp_path, text: str, encoding: str = "utf-8"):
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    return read_text_signals(tmp_path / "a.csv")


def test_microvolts_are_told_by_names_and_lines_of_units_in_windows_letters_too(tmp_path):
    assert written(tmp_path, "I (µV);V2 [V]\n1;2\n", "cp1252").mv_per_unit == {"I": 1e-3, "V2": 1e3}
    assert written(tmp_path, "time,I\ns,µV\n0,5\n0.01,6\n").mv_per_unit == {"I": 1e-3}


def test_the_rate_is_that_of_the_times_or_of_the_words_above(tmp_path):
    assert written(tmp_path, "time,I\ns,µV\n0,5\n0.01,6\n").fs_hz == 100
    assert written(tmp_path, "Zeit [ms];I\n0;0,5\n2,5;0,6\n").fs_hz == 400
    assert written(tmp_path, "Sample Rate,512 hertz\nLead I\n5\n6\n").fs_hz == 512


def test_a_lead_that_is_written_upside_down_is_turned(tmp_path):
    np.testing.assert_array_equal(written(tmp_path, "I,-aVR\n1,2\n3,-4\n").signals["aVR"], [-2, 4])


def test_words_for_no_value_are_gaps(tmp_path):
    values = written(tmp_path, "I,II\n1,NaN\n-,2\nnull,\n?,3\n").signals
    np.testing.assert_array_equal(values["I"], [1, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(values["II"], [np.nan, 2, np.nan, 3])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("\ufeff\n \n", "the file is empty"),
        ("1,2\n3,4\n", "no line names the leads; expected the columns I,II,"),
        ("dear madam, I am\nwell\n", "no line names the leads"),
        ("I,II\n1,2\n3,x\n", "row 2, column II: 'x' is not a number"),
        ("I;II\n1,5;2,5\n3,5;x\n", "row 2, column II: 'x' is not a number"),
        ("# a\n# b\nI,II\n1,2\n3,4,5\n", "Expected 2 fields in line 5, saw 3"),
        ("I,II,i\n1,2,3\n", "two columns are lead I; remove one of them"),
        ("I (mmHg)\n1\n", "lead I is in mmhg; expected mV, uV, V or nV"),
        ("I,II\n1,2\x00\n", "not a CSV file"),
        ("I,II\n1,2\n" + "1," * 60_000, ", line 3: has more than 100000 characters; mend this line"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, said):
    with pytest.raises(InputError) as caught:
        written(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "a.csv"))
    assert said in message
    assert "\n" not in message


def test_the_competitions_gaps_stay_where_they_are(tmp_path):
    table = TABLE.copy()
    table.loc[125:, ["I", "V6"]] = np.nan
    path = tmp_path / "a.csv"
    table.to_csv(path, index=False)
    file = read_text_signals(path)
    expected = pd.read_csv(path).to_numpy()
    np.testing.assert_array_equal(np.stack(list(file.signals.values()), axis=1), expected)
