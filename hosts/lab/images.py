from dataclasses import dataclass
@dataclass(frozen=True)
class Images:
    def describe(self): return {}
def images_build(cache_dir, say): return Images()
