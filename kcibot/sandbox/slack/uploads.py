"""Files on their way into the workspace: an address is asked for, the bytes are sent there, the upload is completed."""

import secrets
import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class Upload:
    """`data` is None until the bytes came; `channel` and `ts` are set when it is shared."""

    id: str
    filename: str
    length: int
    ticket: str
    data: bytes | None = None
    title: str = ""
    alt_text: str = ""
    snippet_type: str = ""
    channel: str = ""
    thread_ts: str = ""
    comment: str = ""
    complete: bool = False


@dataclass(slots=True)
class Uploads:
    """All of them, by file id."""

    files: dict[str, Upload] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, file_id: str, filename: str, length: int) -> Upload:
        upload = Upload(file_id, filename, length, secrets.token_urlsafe(16))
        with self.lock:
            self.files[file_id] = upload
        return upload

    def receive(self, ticket: str, data: bytes) -> bool:
        """Whether that ticket is known, unused, and announced as many bytes (the last is not verified of Slack)."""
        with self.lock:
            for upload in self.files.values():
                if upload.ticket == ticket and upload.data is None and upload.length == len(data):
                    upload.data = data
                    return True
        return False
