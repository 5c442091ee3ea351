"""A tenant's credentials: stored, tried and destroyed, and never shown."""

from collections.abc import Awaitable, Callable

from nicegui import events, ui

from admin_ui.components.form import Call, Form, ask_in_form
from admin_ui.components.parts import Awaited, action, ask
from admin_ui.components.row_table import Row, RowTable
from admin_ui.components.values import iso
from admin_ui.frame import Frame
from admin_ui.telling import telling
from convergence.v1.tenant_service_pb2 import Credential

_MOST = 100
_KINDS = {
    Credential.GCP_SERVICE_ACCOUNT: "Google service account",
    Credential.AWS_ACCESS_KEY: "AWS access key",
    Credential.AWS_ROLE: "AWS role",
    Credential.SLACK_WEBHOOK: "Slack webhook",
}
_FORMS = {
    Credential.GCP_SERVICE_ACCOUNT: "The JSON key file of the service account",
    Credential.AWS_ACCESS_KEY: '{"access_key_id": "AKIA...", "secret_access_key": "..."}',
    Credential.AWS_ROLE: '{"role_arn": "...", "external_id": "..."}',
    Credential.SLACK_WEBHOOK: '{"url": "https://hooks.slack.com/services/..."}',
}
_COLUMNS = {
    "name": "Name",
    "kind": "Kind",
    "version": "Version",
    "fingerprint": "Fingerprint",
    "used": "Last used",
    "checked": "Last check",
    "do": "Actions",
}
_SLOTS = {
    "name": '<q-td :props="props" class="text-weight-medium wrap-any">{{ props.value }}</q-td>',
    "version": '<q-td :props="props" class="num" data-label="version">{{ props.value }}</q-td>',
    "fingerprint": '<q-td :props="props" class="mono wrap-any">{{ props.value }}</q-td>',
    "used": """<q-td :props="props" data-label="used">
    <time v-if="props.value" class="num" :datetime="props.value"></time><span v-else class="dim">never</span></q-td>""",
    "checked": """<q-td :props="props"><div class="pair">
    <span v-if="props.row.outcome" class="chip" :class="'s-' + props.row.outcome">
    {{ props.row.outcome.replace("_", " ") }}</span>
    <time v-if="props.value" class="num" :datetime="props.value"></time>
    <span v-else class="dim">never checked</span></div></q-td>""",
    "do": """<q-td :props="props" class="row-actions">
    <q-btn flat dense no-caps color="primary" label="Check" :disable="props.row.busy"
      :aria-label="'Check ' + props.row.name" @click="$parent.$emit('check', props.row.name)"></q-btn>
    <q-btn flat dense no-caps color="negative" label="Delete" :disable="props.row.busy"
      :aria-label="'Delete ' + props.row.name" @click="$parent.$emit('remove', props.row.name)"></q-btn></q-td>""",
}


class Credentials:
    """A table of credentials with a way to store one."""

    def __init__(self, page: Frame, tenant_id: str) -> None:
        self._page = page
        self._tenant_id = tenant_id
        self._found: list[Credential] = []
        self._busy: set[str] = set()
        with ui.row().classes("w-full items-center justify-between"):
            with ui.element("h2").classes("section"):
                ui.label("Credentials")
            self.put_button = action("Store a credential", self._put, icon="add")
        self._awaited = Awaited("No credentials.", "Steps that reach into the tenant's own cloud need one.", lines=3)
        with self._awaited.box:
            self._table = RowTable("Credentials", _COLUMNS, _SLOTS, key="name", right=("do",))
        self._table.on("check", lambda event: self._on_row(event, self._check))
        self._table.on("remove", lambda event: self._on_row(event, self._delete))
        self._answer = ui.label().classes("note w-full").props("role=status")
        self._answer.visible = False

    async def refresh(self) -> None:
        """Show the credentials as they are now."""
        found = await self._page.session.client.list_credentials(tenant_id=self._tenant_id, page_size=_MOST)
        self._found = list(found.credentials)
        self._awaited.show(is_any=bool(self._found))
        self._show()

    def _show(self) -> None:
        self._table.show([_row(one, is_busy=one.name in self._busy) for one in self._found])

    async def _on_row(self, event: events.GenericEventArguments, work: Callable[[str], Awaitable[None]]) -> None:
        name = str(event.args)
        if name in self._busy or name not in {credential.name for credential in self._found}:
            return
        self._busy.add(name)
        self._show()
        try:
            async with telling():
                await work(name)
        finally:
            self._busy.discard(name)
            self._show()
        async with telling():
            await self.refresh()

    async def _check(self, name: str) -> None:
        found = await self._page.session.client.check_credential(name, tenant_id=self._tenant_id)
        outcome = f"is accepted as {found.principal}" if found.accepted else "is refused"
        self._answer.text = f"{name} {outcome}: {found.message}" if found.message else f"{name} {outcome}"
        self._answer.visible = True

    async def _delete(self, name: str) -> None:
        hint = "Every version is destroyed at once. Steps that name it fail from now on, also in runs that have begun."
        if await ask(f"Delete the credential {name}?", answer="Delete it", hint=hint):
            await self._page.session.client.delete_credential(name, tenant_id=self._tenant_id)
            self._answer.visible = False
            ui.notify(f"{name} is destroyed", type="positive")

    async def _put(self) -> None:
        client = self._page.session.client
        stored = await _ask_for_credential(
            lambda name, kind, secret, request_id: client.put_credential(
                name, kind, secret, tenant_id=self._tenant_id, request_id=request_id
            )
        )
        if stored is not None:
            ui.notify(f"{stored.name} is stored as version {stored.version}", type="positive")
            async with telling():
                await self.refresh()


_Put = Callable[[str, Credential.Kind.ValueType, str, str], Awaitable[Credential]]
"""Given the name, the kind, the secret and the id of the request."""


async def _ask_for_credential(put: _Put) -> Credential | None:
    def fill(form: Form) -> Call[Credential]:
        ui.label("It is encrypted and cannot be read again. Under a name that exists it is the next version.").classes(
            "dim"
        )
        name = form.line("name", "Name", hint="What steps call it: lower-case letters, digits and _")
        kind = form.choice("kind", "Kind", _KINDS, Credential.GCP_SERVICE_ACCOUNT)
        secret = form.add("secret", ui.textarea("Secret")).classes("secret-field")
        secret.props("autogrow rows=3 autocomplete=off spellcheck=false autocapitalize=off data-1p-ignore")

        def tell_form() -> None:
            secret.props["hint"] = _FORMS[kind.value]

        kind.on_value_change(tell_form)
        tell_form()
        ui.checkbox("Show what I type", on_change=lambda event: _unmask(secret, is_shown=event.value)).props("dense")
        return lambda request_id: put((name.value or "").strip(), kind.value, secret.value or "", request_id)

    return await ask_in_form("Store a credential", "Store it", fill)


def _unmask(secret: ui.textarea, *, is_shown: bool) -> None:
    secret.classes(remove="secret-field" if is_shown else "", add="" if is_shown else "secret-field")


def _row(credential: Credential, *, is_busy: bool) -> Row:
    return {
        "name": credential.name,
        "kind": _KINDS.get(credential.kind, Credential.Kind.Name(credential.kind)),
        "version": credential.version,
        "fingerprint": credential.fingerprint,
        "used": iso(credential.last_used_at),
        "checked": iso(credential.checked_at),
        "outcome": credential.check_status,
        "busy": is_busy,
    }
