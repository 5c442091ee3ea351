"""The API keys of a tenant, or of the operators: made, replaced and revoked."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from nicegui import events, ui

from admin_ui.components.api_key_dialogs import OWN_KEY, SCOPES, make_key, rotate_key
from admin_ui.components.parts import Awaited, action, ask
from admin_ui.components.row_table import Row, RowTable
from admin_ui.components.secret_once import tell_secret
from admin_ui.components.values import iso
from admin_ui.frame import Frame
from admin_ui.sessions import ADMIN
from admin_ui.telling import telling
from convergence.v1.tenant_service_pb2 import ApiKey

_MOST = 500
_COLUMNS = {
    "state": "State",
    "name": "Key",
    "scopes": "Scopes",
    "created": "Created",
    "used": "Last used",
    "ends": "Ends",
    "do": "Actions",
}
_TIME = """<q-td :props="props" data-label="%s"><time v-if="props.value" class="num" :datetime="props.value"></time>
<span v-else class="dim">never</span></q-td>"""
_SLOTS = {
    "state": '<q-td :props="props"><span class="chip" :class="\'s-\' + props.value">{{ props.value }}</span></q-td>',
    "name": '<q-td :props="props"><div class="wrap-any">{{ props.value }}</div>'
    '<div class="mono dim">{{ props.row.prefix }}</div></q-td>',
    "created": _TIME % "created",
    "used": _TIME % "used",
    "ends": """<q-td :props="props" :data-label="props.row.revoked ? null : 'expires'"><div class="pair">
    <span v-if="props.row.revoked" class="dim">revoked</span>
    <time v-if="props.value" class="num" :datetime="props.value"></time>
    <span v-else class="dim">never</span></div></q-td>""",
    "do": """<q-td :props="props" class="row-actions">
    <q-btn v-if="props.row.rotates" flat dense no-caps color="primary" label="Rotate"
      :aria-label="'Rotate ' + props.row.prefix" @click="$parent.$emit('rotate', props.row.id)"></q-btn>
    <q-btn v-if="props.row.state === 'ACTIVE'" flat dense no-caps color="negative" label="Revoke"
      :aria-label="'Revoke ' + props.row.prefix" @click="$parent.$emit('revoke', props.row.id)"></q-btn></q-td>""",
}


class ApiKeys:
    """A table of keys with a way to make more."""

    def __init__(self, page: Frame, tenant_id: str) -> None:
        """`tenant_id` is '' for the operators' keys."""
        self._page = page
        self._tenant_id = tenant_id
        self._keys: dict[str, ApiKey] = {}
        self.is_busy = False
        """Somebody is about to make, or to note down, a key: nothing may take the page away from them."""
        with ui.row().classes("w-full items-center justify-between"):
            with ui.element("h2").classes("section"):
                ui.label("API keys")
            self.create_button = action("Make a key", self._create, icon="add")
        self._found = Awaited("No keys.", "Make one for each service that calls.", lines=3)
        with self._found.box:
            self._table = RowTable("API keys", _COLUMNS, _SLOTS, key="id", right=("do",))
            self._more = ui.label(f"Only the newest {_MOST} keys are shown.").classes("dim small")
        self._table.on("rotate", lambda event: self._on_row(event, self._rotate))
        self._table.on("revoke", lambda event: self._on_row(event, self._revoke))

    async def refresh(self) -> None:
        """Show the keys as they are now."""
        found = await self._page.session.client.list_api_keys(tenant_id=self._tenant_id, page_size=_MOST)
        self._keys = {key.key_id: key for key in found.api_keys}
        self._found.show(is_any=bool(self._keys))
        self._more.visible = bool(found.next_page_token)
        self._table.show([self._row(key) for key in found.api_keys])

    def _row(self, key: ApiKey) -> Row:
        state = key_state(key)
        return {
            "id": key.key_id,
            "state": state,
            "name": key.name,
            "prefix": key.prefix,
            "scopes": ", ".join(key.scopes),
            "created": iso(key.created_at),
            "used": iso(key.last_used_at),
            "revoked": state == "REVOKED",
            "ends": iso(key.revoked_at if state == "REVOKED" else key.expires_at),
            # The successor has the scopes of the old key, and nobody gets one that they lack.
            "rotates": state == "ACTIVE" and all(map(self._page.session.may, key.scopes)),
        }

    async def _on_row(self, event: events.GenericEventArguments, work: Callable[[ApiKey], Awaitable[None]]) -> None:
        key = self._keys.get(str(event.args))
        if key is not None:
            await self._alone(lambda: work(key))

    async def _alone(self, work: Callable[[], Awaitable[None]]) -> None:
        if self.is_busy:
            return
        self.is_busy = True
        try:
            await work()
        finally:
            self.is_busy = False
        async with telling():
            await self.refresh()

    async def _create(self) -> None:
        await self._alone(self._create_one)

    async def _create_one(self) -> None:
        session = self._page.session
        made = await make_key(
            [scope for scope in SCOPES if (scope != ADMIN) == bool(self._tenant_id) and session.may(scope)],
            lambda name, scopes, expires_at, request_id: session.client.create_api_key(
                name, scopes, tenant_id=self._tenant_id, expires_at=expires_at, request_id=request_id
            ),
        )
        if made is not None:
            await tell_secret(f"The key {made.api_key.name}", made.api_key_secret)

    async def _rotate(self, key: ApiKey) -> None:
        client = self._page.session.client
        made = await rotate_key(
            key,
            lambda seconds, request_id: client.rotate_api_key(
                key.key_id, tenant_id=self._tenant_id, overlap_seconds=seconds, request_id=request_id
            ),
        )
        if made is not None:
            await tell_secret(f"The key {key.name}", made.api_key_secret)

    async def _revoke(self, key: ApiKey) -> None:
        hint = f"{key.prefix} stops working within 5 seconds, for good. {OWN_KEY}"
        if await ask(f"Revoke the key {key.name}?", answer="Revoke it", hint=hint):
            async with telling():
                await self._page.session.client.revoke_api_key(key.key_id, tenant_id=self._tenant_id)
                ui.notify(f"{key.prefix} is revoked", type="positive")


def key_state(key: ApiKey) -> str:
    """`ACTIVE`, `EXPIRED` or `REVOKED`."""
    if key.revoked_at.seconds:
        return "REVOKED"
    is_over = key.expires_at.seconds and key.expires_at.ToDatetime(UTC) <= datetime.now(UTC)
    return "EXPIRED" if is_over else "ACTIVE"
