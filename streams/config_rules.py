"""What decisions go by, from the file's types, categories, defaults and limits."""

from policies.legal import LegalWindows
from policies.rules import Category, Defaults, NotificationType, Rules
from streams.config_shape import FileShape


def rules_of(shape: FileShape) -> Rules:
    categories = {
        name: Category(
            name=name,
            mandatory=each.mandatory,
            in_doubt=each.in_doubt,
            lane=each.lane,
            quiet_hours=each.quiet_hours,
            legal_windows=each.legal_windows,
            daily_limit=each.daily_limit,
            over_limit=each.over_limit,
        )
        for name, each in shape.categories.items()
    }
    return Rules(
        types={
            name: NotificationType(
                name=name,
                category=categories[each.category],
                channels=each.channels,
                fallback=each.fallback,
                ttl_seconds=round(each.ttl),
                sensitive=each.sensitive,
            )
            for name, each in shape.types.items()
        },
        defaults=Defaults(
            timezone=shape.defaults.timezone,
            locale=shape.defaults.locale,
            channels=shape.defaults.channels,
            categories=shape.defaults.__pydantic_extra__,
        ),
        per_user=shape.limits.per_user,
        dedup_window_seconds=round(shape.dedup_window),
        legal_windows=LegalWindows(
            channels=shape.legal_windows.channels,
            default=shape.legal_windows.default,
            by_zone=shape.legal_windows.by_zone,
        ),
    )
