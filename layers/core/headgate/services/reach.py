"""What one caller may call providers with, and which wishes apply: project, its people, caller, platform."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from headgate.domain.accounts import Project, ProviderSettings
from headgate.domain.callers import Caller
from headgate.domain.connections import Connection, UserConnections
from headgate.domain.credentials import PLATFORM, Credential
from headgate.domain.errors import Conflict, HeadgateError, NotFound
from headgate.domain.secret import Secret
from headgate.ports import Clock, ConnectionStore, Log, ProjectStore, SettingsStore
from headgate.services.remember import Memory

_NOBODY = UserConnections()
_NOTHING_SAID = ProviderSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A usable connection, and whose it is in words: `your`, `the project owner's`.

    kinds: the modalities that it serves here; None for whatever is asked of it.
    """

    connection: Connection
    whose: str
    kinds: frozenset[str] | None = None

    @property
    def credential(self) -> Credential:
        return Credential(paid_by="connection", connection=self.connection)

    @property
    def words(self) -> str:
        return f"{self.whose} connection '{self.connection.name}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One who may say what is used where a request names nothing: a project, or a person.

    whose: in words, as `Owned.whose`. model, provider, connection: what the settings say for one modality.
    owned: this person's usable connections, the default first, then the newest.
    """

    whose: str
    model: str | None = None
    provider: str | None = None
    connection: Owned | None = None
    owned: tuple[Owned, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One caller's means, for one request.

    levels: from the nearest to the farthest; the platform comes after the last. lent: keys that came with the
    request, by slug. named: the connection that the request insists on. lists: the providers' own ids of what
    connections are known to have, by connection id; they come with the caller's view of the catalogue.
    """

    levels: tuple[Level, ...] = ()
    lent: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    named: Owned | None = None
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)

    @property
    def owned(self) -> tuple[Owned, ...]:
        """Usable connections in the order in which they are tried, each once: at every level the one that
        its settings name comes first."""
        found: dict[str, Owned] = {}
        for level in self.levels:
            for each in (level.connection, *level.owned):
                if each is not None:
                    found.setdefault(each.connection.id, each)
        return tuple(found.values())

    @property
    def serving(self) -> tuple[Owned, ...]:
        """As `owned`, in an order that wishes don't change: one that a project's settings brought in from
        someone else, then those of each level."""
        own = {each.connection.id: each for level in self.levels for each in level.owned}
        named = [level.connection for level in self.levels if level.connection is not None]
        more = {each.connection.id: each for each in named if each.connection.id not in own}
        return (*more.values(), *own.values())

    @property
    def slugs(self) -> frozenset[str]:
        """Providers that this caller can use with keys other than the platform's."""
        if self.named is not None:
            return frozenset({self.named.connection.type})
        return frozenset(self.lent) | {each.connection.type for each in self.owned}

    @property
    def preferred(self) -> str | None:
        """The provider that comes first where a model is named and several offer it."""
        for level in self.levels:
            if level.connection is not None:
                return level.connection.connection.type
            if level.provider is not None:
                return level.provider
        return None

    def credentials(
        self, slug: str, native_id: str, *, platform: bool, listed: bool
    ) -> tuple[Credential, ...]:
        """What to call this provider's model with, in order.

        A connection that was named is the only one; else a key that was lent is the only one for its
        provider. platform: whether its key would do. listed: whether the platform's list has this model.
        """
        if self.named is not None:
            return (self.named.credential,) if self.named.connection.type == slug else ()
        if slug in self.lent:
            return (Credential(paid_by="lent", lent=self.lent[slug]),)
        own = [each for each in self.owned if each.connection.type == slug]
        if any(each.connection.base_url for each in own):
            own = self._having(own, native_id, listed=listed)
        found = tuple(each.credential for each in own)
        return (*found, PLATFORM) if platform else found

    def _having(self, own: list[Owned], native_id: str, *, listed: bool) -> list[Owned]:
        """A connection with an address of its own is a server of its own: it is asked for what its list has.
        What none of them lists goes to those whose lists are not known; else, if the platform does not list
        it either, to the first of them alone."""
        servers = [each for each in own if each.connection.base_url]
        having = [each for each in servers if native_id in self.lists.get(each.connection.id, ())]
        if not having:
            having = [each for each in servers if each.connection.id not in self.lists]
        if not having and not listed:
            having = servers[:1]
        return [each for each in own if not each.connection.base_url or each in having]

    def words(self, credential: Credential) -> str:
        """What it is, for `explain` and errors: `your connection 'Work'`, `the platform's key`."""
        if credential.lent is not None:
            return "the key lent with the request"
        if credential.connection is None:
            return "the platform's key"
        found = self.owned if self.named is None else (self.named,)
        words = (each.words for each in found if each.connection.id == credential.connection.id)
        return next(words, f"the connection '{credential.connection.name}'")


class ReachService:
    """Reads connections and settings at most once a minute per user and process: one Query and one GetItem,
    at once; projects as often. A connection that is named and not known is looked for once more in the store,
    so whoever has just made one can use it.

    A store that can't be read is forgiven for five minutes while something is in memory, and is a 503 where
    nothing is: without a caller's own connections and settings a request would silently go elsewhere, and be
    paid by the platform.
    """

    def __init__(
        self,
        *,
        connections: ConnectionStore,
        projects: ProjectStore,
        settings: SettingsStore,
        clock: Clock,
        log: Log,
    ) -> None:
        self._store = connections
        self._load_project = projects.get_project
        self._load_settings = settings.get_settings
        self._log = log
        self._connections = Memory[UserConnections](clock, log)
        self._projects = Memory[Project | None](clock, log)
        self._settings = Memory[ProviderSettings | None](clock, log)

    async def of(
        self,
        caller: Caller,
        *,
        modality: str = "text",
        project_id: str | None = None,
        connection_id: str | None = None,
        lent: Mapping[str, Secret] | None = None,
    ) -> Reach:
        """What this caller has for this request.

        Raises NotFound for a connection that is none of the caller's or its project's, Conflict for one that
        was deleted, GatewayFault when the store can't be read and nothing is in memory.
        """
        project = await self._project(caller, project_id)
        people = _people(caller, project)
        remembered = self._connections.has(people)
        try:
            reach = await self._reach(people, project, modality, connection_id)
        except (NotFound, Conflict):
            if not remembered:
                raise
            for user in people:  # it may have been made or restored since they were read
                self._connections.forget(user)
            reach = await self._reach(people, project, modality, connection_id)
        return replace(reach, lent=lent) if lent else reach

    async def serving(self, caller: Caller) -> tuple[Owned, ...]:
        """What serves this caller's requests where they name neither project nor connection, as
        `Reach.serving`; one that the project's settings name for some modalities, for these alone.

        Reads no settings but the project's. Raises GatewayFault as `of`.
        """
        if caller.project_id is None:  # as most are, and some ask very often
            mine = await self.connections(caller.user_id)
            return tuple(Owned(connection=row, whose="your") for row in mine.active) if mine.rows else ()
        project = await self._project(caller, None)
        people = _people(caller, project)
        rows = await self._connections.all(list(people), self._store.load)
        levels = [
            Level(whose=whose, owned=tuple(Owned(connection=row, whose=whose) for row in rows[user].active))
            for user, whose in people.items()
        ]
        if project is not None:
            levels += await self._named_by(project)
        return Reach(levels=tuple(levels)).serving

    async def connections(self, user_id: str) -> UserConnections:
        """All of a user's, as this process knows them. Raises GatewayFault as `of`."""
        return await self._connections.get(user_id, self._store.load)

    def forget(self, user_id: str) -> None:
        """The next look reads this user's connections and settings again."""
        self._connections.forget(user_id)
        self._settings.forget(f"user:{user_id}")

    def forget_all(self) -> None:
        """The next look at anybody's connections, settings and projects reads them again."""
        for memory in (self._connections, self._projects, self._settings):
            memory.forget_all()

    async def note_attention(self, connection: Connection, reason: str | None) -> None:
        """Marks a connection whose key was refused, or with None unmarks one that works again; what is marked
        so already is not written again. A fault is only logged."""
        if reason is not None:
            self.forget(connection.user_id)  # it may have been replaced or deleted since
        if connection.needs_attention == reason:
            return
        try:
            await self._store.note_attention(
                connection.user_id, connection.id, sealed=connection.sealed, reason=reason
            )
        except HeadgateError as fault:
            self._log.warning("connection.not_marked", connection_id=connection.id, code=fault.code)
        self.forget(connection.user_id)

    async def _project(self, caller: Caller, project_id: str | None) -> Project | None:
        """The project that the key is bound to, else the one named, if the caller is in it.

        Any other name is a label, be there such a project or not: an error would tell that there is.
        """
        asked = caller.project_id or project_id
        if not asked:
            return None
        found = await self._projects.get(asked, self._load_project)
        mine = found is not None and (caller.project_id == found.id or found.has(caller.user_id))
        return found if mine else None

    async def _reach(
        self, people: Mapping[str, str], project: Project | None, modality: str, connection_id: str | None
    ) -> Reach:
        """Without what was lent, and without lists. Raises NotFound and Conflict as `of`."""
        rows, said = await self._known_of(people, project)
        levels = [
            _level_of(whose, said.get(f"user:{user}") or _NOTHING_SAID, rows[user], modality)
            for user, whose in people.items()
        ]
        if project is not None:
            about = said.get(f"project:{project.id}") or _NOTHING_SAID
            levels.insert(0, await self._project_level(project, about, modality))
        named = None if connection_id is None else _named(rows, people, levels, connection_id)
        return Reach(levels=tuple(levels), named=named)

    async def _known_of(
        self, people: Mapping[str, str], project: Project | None
    ) -> tuple[dict[str, UserConnections], dict[str, ProviderSettings | None]]:
        owners = [f"user:{user}" for user in people]
        if project is not None:
            owners.append(f"project:{project.id}")
        connections = self._connections.all(list(people), self._store.load)
        settings = self._settings.all(owners, self._load_settings)
        if self._connections.has(people) and self._settings.has(owners):
            return await connections, await settings  # nothing of it waits
        return await asyncio.gather(connections, settings)

    async def _project_level(self, project: Project, said: ProviderSettings, modality: str) -> Level:
        """The connection that a project's settings name belongs to whoever wrote them, and counts for as long
        as that user is in the project."""
        owner = said.connection_owners.get(said.connections.get(modality, ""))
        mine = await self.connections(owner) if owner is not None and project.has(owner) else _NOBODY
        level = _level_of("the project's", said, UserConnections(rows=mine.rows), modality, owns=False)
        if level.connection is None:
            return level
        wanted = level.connection.connection.id
        kinds = frozenset(kind for kind, named in said.connections.items() if named == wanted)
        return replace(level, connection=replace(level.connection, kinds=kinds))

    async def _named_by(self, project: Project) -> list[Level]:
        """A level for each connection that the project's settings name for any modality."""
        said = await self._settings.get(f"project:{project.id}", self._load_settings) or _NOTHING_SAID
        found: dict[str, Owned] = {}
        for modality in said.connections:
            owned = (await self._project_level(project, said, modality)).connection
            if owned is not None:
                found[owned.connection.id] = owned
        return [Level(whose=each.whose, connection=each) for each in found.values()]


def _people(caller: Caller, project: Project | None) -> dict[str, str]:
    """Users whose connections and settings apply, each with how it is called, in their order."""
    people: dict[str, str] = {}
    if project is not None:
        if project.settings_user_id is not None:
            people[project.settings_user_id] = "the project's settings user's"
        people.setdefault(project.owner_user_id, "the project owner's")
    people.setdefault(caller.user_id, "your")
    if caller.user_id in people:
        people[caller.user_id] = "your"
    return people


def _level_of(
    whose: str, said: ProviderSettings, rows: UserConnections, modality: str, *, owns: bool = True
) -> Level:
    owned = tuple(Owned(connection=row, whose=whose) for row in rows.active)
    wanted = said.connections.get(modality)
    return Level(
        whose=whose,
        model=said.default_models.get(modality),
        provider=said.providers.get(modality),
        connection=next((each for each in owned if each.connection.id == wanted), None),
        owned=owned if owns else (),
    )


def _named(
    rows: Mapping[str, UserConnections], people: Mapping[str, str], levels: list[Level], connection_id: str
) -> Owned:
    for level in levels:
        if level.connection is not None and level.connection.connection.id == connection_id:
            return level.connection
    for user, whose in people.items():
        found = rows[user].find(connection_id)
        if found is not None and found.is_active:
            return Owned(connection=found, whose=whose)
        if found is not None:
            raise Conflict(f"The connection {connection_id} was deleted; restore it or name another.")
    raise NotFound(f"There is no connection {connection_id[:80]}.")
