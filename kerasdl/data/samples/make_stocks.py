"""Makes `stocks.csv.xz`, the sample "stocks": daily prices of three shares, 2000 to 2013.

    pip download --no-deps bokeh-sampledata && python kerasdl/data/samples/make_stocks.py bokeh_sampledata-*.whl

Closing prices adjusted for splits and dividends, and volumes, of AAPL, IBM and MSFT from the package bokeh-sampledata,
whose data are in the public domain. Read from the wheel, nothing of it is run. The same bytes each time.

https://github.com/bokeh/bokeh_sampledata
"""

from __future__ import annotations

import csv
import gzip
import io
import lzma
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
TICKERS = ("AAPL", "IBM", "MSFT")


def main() -> None:
    """Read the wheel that is named on the command line and write the sample."""
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        text = gzip.decompress(wheel.read("bokeh_sampledata/_data/stocks.csv.gz")).decode()
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["Ticker"] in TICKERS]
    rows.sort(key=lambda row: (row["Ticker"], row["Date"]))
    lines = ["ticker,date,close,volume"]
    # Cents of a cent: the source has more digits than a price has.
    lines += [f"{row['Ticker']},{row['Date']},{float(row['Adj Close']):.4f},{row['Volume']}" for row in rows]
    content = lzma.compress("".join(f"{line}\n" for line in lines).encode(), preset=9 | lzma.PRESET_EXTREME)
    (HERE / "stocks.csv.xz").write_bytes(content)
    print(f"{len(rows)} rows, {len(content)} bytes")


if __name__ == "__main__":
    main()
