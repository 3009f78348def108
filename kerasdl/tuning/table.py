class LiveTable:
    def __init__(self, **k):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *a):
        pass

    def update(self, *a):
        pass


def as_csv(rows):
    return ""
